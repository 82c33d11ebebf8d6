"""The demo's order of things, what it forgives, and when it says that the robot walked."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import fixed_pose_policy
import pytest
from rich.console import Console

from contract.errors import LandbridgeError
from deploy_robot.session_summary import Motion, Summary
from deploy_robot.stack import RobotProcess
from policies import demo
from policies.demo import Demo, DemoConfig, DemoInterrupted, session_requirements
from policies.stages import Stages

ROBOT_PROCESS = RobotProcess(lambda robot, address, truth: [], ready="")
WALKED = Summary(
    bundle="b",
    digest="d",
    robot="unitree_go2",
    driver="emulated",
    command=(0.6, 0.0, 0.0),
    seconds=20.0,
    interrupted=False,
    problem="",
    motion=Motion(distance=11.5, falls=0, tracking_error=0.1, yaw_rate_error=0.1),
    robot_loop=None,
    policy_loop=None,
    sensor_to_command=None,
    real_time_factor=1.0,
    trips=(),
)
CONFIG = DemoConfig(out=Path("unused"))
_NEVER = AssertionError()


def failed(summary: Summary, config: DemoConfig = CONFIG) -> list[str]:
    return [r.name for r in session_requirements(summary, config) if not r.passed]


def moved(**changes: Any) -> Summary:
    assert WALKED.motion is not None
    return replace(WALKED, motion=replace(WALKED.motion, **changes))


def test_a_walk_is_a_walk() -> None:
    assert failed(WALKED) == []


@pytest.mark.parametrize(
    ("summary", "named"),
    [
        (moved(tracking_error=0.25), "velocity error over ROS 2"),
        (moved(tracking_error=None), "velocity error over ROS 2"),
        (moved(tracking_error=float("nan")), "velocity error over ROS 2"),
        (moved(falls=1), "falls"),
        (moved(distance=5.9), "distance walked"),
        (replace(WALKED, trips=({"constraint": "tilt"},)), "monitor trips"),
        (replace(WALKED, problem="policy lost"), "ran to its end"),
    ],
)
def test_what_is_not_a_walk(summary: Summary, named: str) -> None:
    assert failed(summary) == [named]


def test_without_truth_nothing_is_proved() -> None:
    assert failed(replace(WALKED, motion=None)) == ["velocity error over ROS 2", "distance walked", "falls"]


def test_standing_still_is_asked_for_no_distance() -> None:
    assert failed(moved(distance=0.0), replace(CONFIG, command=(0.0, 0.0, 0.5))) == []


class Pretend:
    """Stands for the libraries that the demo calls: each does nothing, or fails as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, fails: str = "", error: Exception = _NEVER) -> None:
        self.called: list[str] = []

        def play(name: str, result: Any) -> Any:
            def function(*args: Any, **kwargs: Any) -> Any:
                self.called.append(name)
                if name == fails:
                    raise error
                return result

            return function

        class Passed:
            class result:
                passed = True
                bars = ()

        monkeypatch.setattr(demo.bundles, "path", play("bundle", path))
        monkeypatch.setattr(demo, "evaluate", play("check", Passed))
        monkeypatch.setattr(demo.check_report, "save", lambda *_: None)
        monkeypatch.setattr(demo.check_report, "show", lambda *_: None)
        monkeypatch.setattr(demo, "run_session", play("session", WALKED))
        monkeypatch.setattr(demo, "film", play("film", path / "contract.json"))


def run(path: Path) -> tuple[bool, str]:
    page = StringIO()
    config = DemoConfig(out=path / "out", pretrained=True)
    config.out.mkdir()
    passed = Demo(config, ROBOT_PROCESS, Console(file=page, width=200)).run()
    return passed, page.getvalue()


def test_all_is_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend = Pretend(monkeypatch, fixed_pose_policy.write(tmp_path / "bundle"))
    passed, said = run(tmp_path)
    assert passed
    assert pretend.called == ["bundle", "check", "session", "film"]
    assert "PASS: the robot walked" in said
    assert "4/4 film" in said
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("stage", "still_called"),
    [
        ("bundle", ["bundle"]),
        ("check", ["bundle", "check", "session", "film"]),
        ("session", ["bundle", "check", "session"]),
        ("film", ["bundle", "check", "session", "film"]),
    ],
)
@pytest.mark.parametrize("error", [LandbridgeError("it broke"), OSError(28, "it broke", "some file")])
def test_one_stage_fails_and_the_report_is_still_written(
    stage: str, still_called: list[str], error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend = Pretend(monkeypatch, fixed_pose_policy.write(tmp_path / "bundle"), stage, error)
    passed, said = run(tmp_path)
    assert not passed
    assert pretend.called == still_called
    assert "it broke" in said
    assert "FAIL" in said
    assert "it broke" in (tmp_path / "out" / "report.html").read_text()


def test_a_walk_that_was_too_short_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pretend(monkeypatch, fixed_pose_policy.write(tmp_path / "bundle"))
    monkeypatch.setattr(demo, "run_session", lambda *_: moved(distance=1.0))
    passed, said = run(tmp_path)
    assert not passed
    assert "distance walked: 1.00 m, wanted at least 6.00 m" in said


def test_interrupted_by_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pretend(monkeypatch, fixed_pose_policy.write(tmp_path / "bundle"))
    monkeypatch.setattr(demo, "run_session", lambda *_: replace(WALKED, interrupted=True))
    with pytest.raises(DemoInterrupted, match="what was made so far"):
        run(tmp_path)


def test_a_bug_is_not_taken_for_a_failed_stage() -> None:
    def bug() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Stages(Console(file=StringIO()), 1).run("stage", bug)
