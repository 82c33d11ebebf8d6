"""report.html: complete, self-contained, safe to open, and written whatever is missing."""

import json
from html.parser import HTMLParser
from pathlib import Path

import fixed_pose_policy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import LandbridgeError
from contract.rotations import quat_rotate
from policies import report_page
from policies.film import captioned
from policies.metrics import MetricsFile
from policies.report import Requirement, Sources, Stage, write_report
from policies.report_plots import smoothed
from policies.session_log import mean_over, read_session
from sim.rendering import Frames

START, END = 100.0, 110.0  # s, steady clock, while the policy drives
MODES = ["passive", "standing_up", "active", "sitting_down"]


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def session_folder(folder: Path, **changes: object) -> Path:
    """A session: two seconds of standing up, ten of walking at 0.5 m/s to the north, one of lying down."""
    folder.mkdir(parents=True)
    summary = {
        "robot": "unitree_go2",
        "driver": "emulated",
        "command": [0.6, 0.0, 0.0],
        "seconds": 10.0,
        "problem": "",
        "motion": {"distance": 5.0, "falls": 0, "tracking_error": 0.1, "yaw_rate_error": 0.02},
        "robot_loop": {"p50": 0.005, "p99": 0.0051, "max": 0.006},
        "policy_loop": {"p50": 0.02, "p99": 0.021, "max": 0.022},
        "sensor_to_command": {"p50": 0.008, "p99": 0.009, "max": 0.01},
        "real_time_factor": 1.0,
        "trips": [],
    }
    (folder / "summary.json").write_text(json.dumps({**summary, **changes}))
    tick = np.arange(98.0, 111.0, 0.005)
    mode = np.where(tick < START, 1, np.where(tick <= END, 2, 3))
    written = np.arange(99.0, 112.0, 0.02)
    np.savez(
        folder / "robot_node.npz",
        tick_time=tick,
        tick_mode=mode.astype(float),
        modes=MODES,
        command_stamp=written - np.where((written >= START) & (written <= END), 0.008, 0.5),
        command_written=written,
    )
    np.savez(folder / "policy_node.npz", step_time=np.arange(START, END, 0.02))
    time = np.arange(97.0, 112.0, 0.005)
    quat = np.tile([np.sqrt(0.5), 0, 0, np.sqrt(0.5)], (len(time), 1))  # heading north
    np.savez(
        folder / "truth.npz",
        time=time,
        root_pos=np.zeros((len(time), 3)),
        root_quat=quat,
        root_lin_vel=quat_rotate(quat, np.tile([0.5, 0.1, 0.0], (len(time), 1))),
        root_ang_vel=np.tile([0.0, 0.0, 0.3], (len(time), 1)),
        joint_pos=np.zeros((len(time), 12)),
        report=json.dumps({"robot": "unitree_go2"}),
    )
    return folder


def training_folder(folder: Path) -> Path:
    folder.mkdir()
    metrics = MetricsFile(folder / "metrics.jsonl")
    for i in range(1, 30):
        metrics.append(
            i, {"steps": 1e5 * i, "seconds": 10.0 * i, "task/tracking_error": 1 / i, "policy/kl": float("nan")}
        )
    return folder


def test_session_is_read_in_the_robots_frame_and_the_policys_time(tmp_path: Path) -> None:
    log = read_session(session_folder(tmp_path / "run"))
    assert (log.start, log.end) == (pytest.approx(START, abs=0.01), pytest.approx(END, abs=0.01))
    np.testing.assert_allclose(log.velocity, np.tile([0.5, 0.1, 0.3], (len(log.time), 1)), atol=1e-9)
    assert log.time[0] == pytest.approx(-3.0, abs=0.01)
    np.testing.assert_allclose(log.robot_periods, 0.005, atol=1e-9)
    np.testing.assert_allclose(log.delays, 0.008, atol=1e-9)  # nothing from before or after
    assert len(log.delays) == pytest.approx(500, abs=2)


def test_session_in_which_the_policy_never_drove(tmp_path: Path) -> None:
    folder = session_folder(tmp_path / "run", motion=None, sensor_to_command=None, problem="the robot refused")
    arrays = dict(np.load(folder / "robot_node.npz"))
    np.savez(folder / "robot_node.npz", **{**arrays, "tick_mode": np.zeros_like(arrays["tick_mode"])})
    log = read_session(folder)
    assert len(log.delays) == len(log.robot_periods) == 0
    page = Page(write_report(tmp_path / "report.html", "title", Sources(session=folder)).read_text())
    assert "the robot refused" in page.text
    assert "Not available" not in page.text


def test_session_without_logs(tmp_path: Path) -> None:
    folder = session_folder(tmp_path / "run", motion=None)
    for name in ("robot_node", "policy_node", "truth"):
        (folder / f"{name}.npz").unlink()
    assert len(read_session(folder).time) == 0
    assert "Not available" not in write_report(tmp_path / "r.html", "title", Sources(session=folder)).read_text()


def test_a_whole_report_needs_no_other_file(tmp_path: Path) -> None:
    video = tmp_path / "walk.mp4"
    video.write_bytes(b"not really a film")
    sources = Sources(
        bundle=fixed_pose_policy.write(tmp_path / "bundle"),
        training=training_folder(tmp_path / "training"),
        session=session_folder(tmp_path / "run"),
        video=video,
    )
    requirements = [Requirement("velocity error", "0.10 m/s", "below 0.25 m/s", True)]
    path = write_report(
        tmp_path / "report.html", "A walk", sources, requirements, [Stage("train", 61.0, True, "2 M steps")]
    )
    page = Page(path.read_text())
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            if (target := attributes.get(name)) is not None:
                assert target.startswith("data:"), f"<{tag}> refers to {target[:60]}"
    for words in ("A walk", "PASS", "0.10 m/s", "5.0 m", "9.0 ms", "go2-velocity-flat", "2 M steps"):
        assert words in page.text
    assert "FAIL" not in page.text
    assert "Not available" not in page.text
    assert [tag for tag, _ in page.tags].count("img") == 3  # motion, timing, learning curves
    assert [tag for tag, _ in page.tags].count("video") == 1


def test_a_large_film_is_linked(tmp_path: Path) -> None:
    video = tmp_path / "walk.mp4"
    video.write_bytes(b"0" * 8_000_001)
    page = Page(write_report(tmp_path / "report.html", "title", Sources(video=video)).read_text())
    assert ("a", {"href": "walk.mp4"}) in page.tags


def test_trips_and_failures_are_shown(tmp_path: Path) -> None:
    trip = {"time": 3.2, "constraint": "tilt", "reaction": "damp", "message": "tilted by <1.1> rad"}
    folder = session_folder(tmp_path / "run", trips=[trip])
    requirements = [Requirement("monitor trips", "1", "none", False), Requirement("falls", "0", "none", True)]
    stages = [Stage("film", 1.0, False, "no film")]
    page = Page(write_report(tmp_path / "r.html", "title", Sources(session=folder), requirements, stages).read_text())
    assert "FAIL monitor trips: 1, wanted none; film: no film" in page.text
    assert "3.20 s tilt damp tilted by <1.1> rad" in page.text


@pytest.mark.parametrize("name", ["bundle", "training", "check", "session", "video"])
def test_what_cannot_be_read_is_a_sentence(name: str, tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", "title", Sources(**{name: tmp_path / "missing"}))
    assert "Not available" in path.read_text()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"bars": 3}'])
def test_damaged_sources_are_sentences(content: str, tmp_path: Path) -> None:
    for name in ("check.json", "summary.json", "metrics.jsonl"):
        (tmp_path / name).write_text(content)
    sources = Sources(check=tmp_path, session=tmp_path, training=tmp_path)
    assert "Not available" in write_report(tmp_path / "report.html", "title", sources).read_text()


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LandbridgeError, match="cannot write the report"):
        write_report(tmp_path / "file" / "report.html", "title", Sources())


@given(text=st.text(min_size=1))
def test_text_cannot_become_markup(text: str) -> None:
    html = report_page.page(text, text, [text, report_page.table((text,), [(text, 1)]), report_page.code(text)])
    tags = {tag for tag, _ in Page(html).tags}
    plain = report_page.page("a", "a", ["a", report_page.table(("a",), [("a", 1)]), report_page.code("a")])
    assert tags == {tag for tag, _ in Page(plain).tags}


@given(value=st.floats(-100, 100), count=st.integers(1, 300), gaps=st.sets(st.integers(0, 299)))
def test_smoothing_keeps_a_constant_and_skips_gaps(value: float, count: int, gaps: set[int]) -> None:
    values = np.full(count, value)
    for gap in gaps:
        if gap < count:
            values[gap] = np.nan
    result = smoothed(values)
    known = np.isfinite(result)
    np.testing.assert_allclose(result[known], value, atol=1e-9)
    assert known[np.isfinite(values)].all()


def test_mean_over_a_window() -> None:
    time = np.arange(10.0)
    np.testing.assert_allclose(mean_over(time, time**2, 2.0)[[0, 5, 9]], [0.5, (16 + 25 + 36) / 3, (64 + 81) / 2])


def test_film_says_what_it_shows(tmp_path: Path) -> None:
    log = read_session(session_folder(tmp_path / "run"))
    pose = np.zeros((len(log.time), 3)), np.tile([1.0, 0, 0, 0], (len(log.time), 1)), np.zeros((len(log.time), 12))
    captions = captioned(Frames.of(log.time + log.start, *pose), log).captions
    assert captions[0] == ""
    middle = captions[int(np.searchsorted(log.time, 5.0))]
    assert "5.0 s" in middle
    assert "command +0.60, +0.00, +0.00   measured +0.50, +0.10, +0.30" in middle
