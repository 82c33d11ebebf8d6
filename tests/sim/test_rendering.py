"""Frames, camera, ray-cast figure, and what ends up in a video."""

import json
from pathlib import Path

import imageio_ffmpeg
import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contract.robots
from contract.errors import LandbridgeError, UsageError
from sim.rendering import Camera, Frames, read_recording, render, still
from sim.rendering.camera import Pinhole
from sim.rendering.figure import VISUAL_GROUP, Figure
from sim.rendering.ground import TILE

ROBOT = contract.robots.load("unitree_go2")
SMALL = (160, 96)
PERIOD = 2 * TILE  # m, after which the floor looks the same


def walk(
    count: int = 20, velocity: tuple[float, float] = (0.6, 0.0), start: tuple[float, float] = (0.0, 0.0)
) -> Frames:
    """A robot that slides along in its default pose, 50 samples a second."""
    time = 0.02 * np.arange(count)
    pos = np.zeros((count, 3))
    pos[:, :2] = np.asarray(start) + time[:, None] * velocity
    pos[:, 2] = ROBOT.standing_height
    quat = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    return Frames.of(time, pos, quat, np.tile(ROBOT.default_joint_pos, (count, 1)))


def changed(**fields: object) -> dict[str, object]:
    frames = walk(4)
    names = ("time", "root_pos", "root_quat", "joint_pos", "captions")
    return {**{name: getattr(frames, name) for name in names}, **fields}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"root_pos": np.zeros((3, 3))}, "root_pos"),
        ({"root_quat": np.zeros((4, 3))}, "root_quat"),
        ({"joint_pos": np.zeros(4)}, "joint_pos"),
        ({"joint_pos": np.full((4, 12), np.nan)}, "joint_pos"),
        ({"time": np.array([0.0, 0.1, 0.1, 0.2])}, "time"),
        ({"captions": ("one", "two")}, "captions"),
    ],
)
def test_frames_that_do_not_belong_together_are_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Frames(**changed(**fields))  # type: ignore[arg-type]


def test_no_frames_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        Frames.of(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 12)))


@given(
    fps=st.floats(5.0, 120.0),
    velocity=st.tuples(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0)),
    count=st.integers(1, 40),
)
def test_resampling_keeps_a_steady_motion(fps: float, velocity: tuple[float, float], count: int) -> None:
    frames = walk(count, velocity)
    resampled = frames.resample(fps)
    duration = 0.02 * (count - 1)
    assert len(resampled) == int(duration * fps + 1e-6) + 1
    np.testing.assert_allclose(np.diff(resampled.time), 1 / fps, atol=1e-9)
    inside = resampled.time <= duration
    expected = resampled.time[inside, None] * velocity
    np.testing.assert_allclose(resampled.root_pos[inside, :2], expected, atol=1e-9)


@given(angle=st.floats(0.01, 3.0), flip=st.booleans())
def test_resampled_rotation_goes_the_short_way(angle: float, flip: bool) -> None:
    """Half way between the two samples the robot has turned half the angle, whichever sign the quaternions have."""
    quat = np.array([[1.0, 0, 0, 0], [np.cos(angle / 2), 0, 0, np.sin(angle / 2)]])
    quat[1] *= -1 if flip else 1
    frames = Frames.of([0.0, 1.0], np.zeros((2, 3)), quat, np.zeros((2, 12)))
    middle = frames.resample(2.0).root_quat[1]
    np.testing.assert_allclose(np.linalg.norm(middle), 1.0)
    assert 2 * np.arctan2(abs(middle[3]), abs(middle[0])) == pytest.approx(angle / 2, abs=1e-6)


def test_captions_are_those_of_the_sample_before() -> None:
    frames = walk(3).with_captions(("a", "b", "c"))
    assert frames.resample(100.0).captions == ("a", "a", "b", "b", "c")


def test_part_of_a_recording() -> None:
    frames = walk(50).with_captions(tuple(str(i) for i in range(50)))
    part = frames.between(0.095, 0.205)
    np.testing.assert_allclose(part.time, [0.1, 0.12, 0.14, 0.16, 0.18, 0.2])
    assert part.captions == ("5", "6", "7", "8", "9", "10")
    with pytest.raises(UsageError, match="none from 7"):
        frames.between(7.0, 8.0)


@given(velocity=st.tuples(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0)), count=st.integers(2, 120))
def test_camera_keeps_a_steady_walk_in_the_centre(velocity: tuple[float, float], count: int) -> None:
    frames = walk(count, velocity)
    np.testing.assert_allclose(Camera().targets(frames)[:, :2], frames.root_pos[:, :2], atol=1e-9)


@given(point=st.tuples(*(st.floats(-0.8, 0.8) for _ in range(3))))
def test_the_ray_of_a_point_leads_to_the_point(point: tuple[float, float, float]) -> None:
    pinhole = Pinhole(np.array([1.0, -1.4, 0.6]), 0.7, *SMALL)
    pinhole.look_at(np.array([0.3, 0.2, 0.1]))
    world = pinhole.target + np.asarray(point)
    column, row = pinhole.project(world)
    ray = pinhole.rays(np.array([column - 0.5]), np.array([row - 0.5]))[0]
    towards = world - pinhole.eye
    np.testing.assert_allclose(ray, towards / (towards @ pinhole.forward), atol=1e-9)


def test_camera_looks_at_its_target() -> None:
    pinhole = Pinhole(np.array([1.0, -1.4, 0.6]), 0.7, *SMALL)
    pinhole.look_at(np.array([3.0, -2.0, 0.2]))
    np.testing.assert_allclose(pinhole.project(pinhole.target), [80.0, 48.0])


def test_figure_shows_every_visual_shape_whole() -> None:
    """Ray by ray the same as casting each alone, which no bounding box can cut short."""
    frames = walk(1)
    figure = Figure(ROBOT)
    figure.place(frames, 0)
    eye = np.array([0.9, -1.3, 0.7])
    rng = np.random.default_rng(0)
    rays = rng.normal([0, 0, 0.2], [0.25, 0.15, 0.12], size=(3000, 3)) - eye

    model = mujoco.MjModel.from_xml_path(str(ROBOT.mjcf))
    data = mujoco.MjData(model)
    data.qpos[:3] = frames.root_pos[0]
    data.qpos[3:7] = frames.root_quat[0]
    data.qpos[7:] = frames.joint_pos[0]
    mujoco.mj_kinematics(model, data)
    groups = np.eye(mujoco.mjNGROUP, dtype=np.uint8)[VISUAL_GROUP]
    found = np.zeros(1, np.int32)
    single = []
    for ray in rays:
        mujoco.mj_ray(model, data, eye, ray, groups, 1, -1, found)
        single.append(int(found[0]))
    geoms, normals = figure.cast(eye, rays)
    assert geoms.tolist() == single
    hit = geoms >= 0
    assert 200 < hit.sum() < 3000
    np.testing.assert_allclose(np.linalg.norm(normals[hit], axis=1), 1.0, atol=1e-6)
    assert (np.sum(normals[hit] * rays[hit], axis=1) < 0).all(), "surfaces that are seen face the camera"


def test_the_floor_moves_under_the_robot() -> None:
    """Half a pattern further on the same robot stands on another floor; a whole pattern further on nothing differs."""
    here, half, whole = (still(ROBOT, walk(1, start=(x, 0.0)), size=SMALL) for x in (0.0, PERIOD / 2, PERIOD))
    np.testing.assert_allclose(whole.astype(int), here, atol=1)
    assert (half[-20:] != here[-20:]).mean() > 0.3


def test_the_robot_is_where_it_should_be_in_the_picture() -> None:
    """Its dark parts are near the middle, and lifting it by 20 cm with the camera held lifts them."""
    frames = walk(3)
    low = still(ROBOT, frames, size=(320, 200))
    raised = frames.root_pos.copy()
    raised[1, 2] += 0.2  # the camera follows the median height
    high = still(ROBOT, Frames(frames.time, raised, frames.root_quat, frames.joint_pos), 1, size=(320, 200))
    rows = [np.nonzero(image.max(axis=2) < 45)[0] for image in (low, high)]
    assert all(len(r) > 100 for r in rows)
    assert 90 < np.median(rows[0]) < 160
    assert np.median(rows[1]) < np.median(rows[0]) - 15


def test_a_robot_out_of_sight_leaves_the_backdrop() -> None:
    """A jump of 40 m that the smoothed camera does not follow."""
    frames = walk(9)
    away = frames.root_pos.copy()
    away[4, 0] += 40.0
    image = still(
        ROBOT, Frames(frames.time, away, frames.root_quat, frames.joint_pos), 4, SMALL, Camera(smoothing=60.0)
    )
    assert image.shape == (96, 160, 3)
    assert image.min() > 45, "no dark robot, no shadow"


def test_video_can_be_read_back(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    frames = walk(20).with_captions(("caption",) * 20)
    path = render(ROBOT, frames, tmp_path / "new" / "walk.mp4", 10.0, SMALL, progress=lambda *call: calls.append(call))
    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    pictures = list(reader)
    assert about["size"] == SMALL
    assert about["codec"] == "h264"
    assert about["pix_fmt"].startswith("yuv420p")
    assert about["fps"] == pytest.approx(10.0)
    assert len(pictures) == 4
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    decoded = np.frombuffer(pictures[0], np.uint8).reshape(96, 160, 3)
    drawn = still(ROBOT, frames, size=SMALL)
    assert np.abs(decoded.astype(int) - drawn).mean() < 8
    assert [p.name for p in path.parent.iterdir()] == ["walk.mp4"]


def test_threads_draw_the_same_video(tmp_path: Path) -> None:
    one, three = (render(ROBOT, walk(16), tmp_path / f"{n}.mp4", 25.0, SMALL, workers=n) for n in (1, 3))
    assert one.read_bytes() == three.read_bytes()


@pytest.mark.parametrize("size", [(161, 96), (160, 97), (32, 32)])
def test_sizes_that_cannot_be_encoded_are_refused(size: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{size[0]}x{size[1]}"):
        render(ROBOT, walk(2), tmp_path / "a.mp4", size=size)
    assert not list(tmp_path.iterdir())


def test_a_video_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LandbridgeError, match="cannot write the video"):
        render(ROBOT, walk(2), tmp_path / "file" / "a.mp4", size=SMALL)


def test_a_truncated_video_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that fills up while ffmpeg writes the end of the file."""

    class Truncating:
        def send(self, picture: object) -> None:
            (tmp_path / ".a.partial.mp4").write_bytes(b"\0" * 100)

        def close(self) -> None:
            pass

    monkeypatch.setattr(imageio_ffmpeg, "write_frames", lambda *_, **__: Truncating())
    with pytest.raises(LandbridgeError, match="disk may be full"):
        render(ROBOT, walk(4), tmp_path / "a.mp4", size=SMALL)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_video_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(ROBOT, walk(20), path, size=SMALL, progress=interrupt)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def save(path: Path, **fields: object) -> Path:
    frames = walk(4)
    names = ("time", "root_pos", "root_quat", "joint_pos")
    arrays = {name: getattr(frames, name) for name in names} | {"report": json.dumps({"robot": "unitree_go2"})}
    np.savez(path, **{k: v for k, v in {**arrays, **fields}.items() if v is not None})  # type: ignore[arg-type]
    return path


def test_recording_is_read_back(tmp_path: Path) -> None:
    robot, frames = read_recording(save(tmp_path / "a.npz"))
    assert robot == "unitree_go2"
    np.testing.assert_array_equal(frames.root_pos, walk(4).root_pos)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"root_quat": None}, "root_quat"),
        ({"report": None}, "report"),
        ({"report": "no JSON"}, "not a recording"),
        ({"report": json.dumps({"robot": 3})}, "its robot is 3"),
        ({"report": json.dumps([1])}, "not a recording"),
        ({"time": np.array([{"a": 1}] * 4)}, "not a recording"),
    ],
)
def test_damaged_recordings_are_refused(fields: dict[str, object], named: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=named):
        read_recording(save(tmp_path / "a.npz", **fields))


def test_other_files_are_no_recordings(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_recording(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(UsageError, match="not a recording"):
        read_recording(tmp_path / "text.npz")
