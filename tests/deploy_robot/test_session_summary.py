import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.rotations import quat_from_euler, quat_rotate
from deploy_robot.session_summary import (
    NEVER,
    Motion,
    Span,
    Summary,
    command_delays,
    motion,
    percentiles,
    periods,
)

HEIGHT = 0.3
WHOLE = Span(0.0, 100.0)


def walk(
    velocity: tuple[float, float], yaw_rate: float = 0.0, heading: float = 0.0, seconds: float = 10.0
) -> dict[str, np.ndarray]:
    """Truth of a robot that moves evenly with a velocity in its own frame."""
    time = np.arange(0.0, seconds, 0.01)
    yaw = heading + yaw_rate * time
    quat = quat_from_euler(np.stack([0 * yaw, 0 * yaw, yaw], axis=1))
    world = quat_rotate(quat, np.array([*velocity, 0.0]))
    pos = np.concatenate([[[0.0, 0.0, 0.0]], np.cumsum(world[:-1] * 0.01, axis=0)])
    pos[:, 2] = HEIGHT
    rate = np.stack([0 * yaw, 0 * yaw, 0 * yaw + yaw_rate], axis=1)
    return {"time": time, "root_pos": pos, "root_quat": quat, "root_lin_vel": world, "root_ang_vel": rate}


@given(st.floats(-3.0, 3.0), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_a_robot_that_does_as_told_has_no_error_whatever_its_heading(
    heading: float, vx: float, vy: float, yaw_rate: float
) -> None:
    result = motion(walk((vx, vy), yaw_rate, heading), (vx, vy, yaw_rate), HEIGHT, WHOLE, WHOLE)
    assert result.tracking_error == pytest.approx(0.0, abs=1e-9)
    assert result.yaw_rate_error == pytest.approx(0.0, abs=1e-9)
    assert result.falls == 0


def test_errors_are_means_over_the_settled_time_alone() -> None:
    truth = walk((0.5, 0.0), yaw_rate=0.2)
    truth["root_lin_vel"][truth["time"] < 5.0] = 99.0
    result = motion(truth, (0.6, 0.0, 0.0), HEIGHT, WHOLE, Span(5.0, 10.0))
    assert result.tracking_error == pytest.approx(0.1)
    assert result.yaw_rate_error == pytest.approx(0.2)


def test_distance_is_the_way_over_the_ground_and_swaying_is_not_walking() -> None:
    truth = walk((0.5, 0.0), yaw_rate=0.3)
    truth["root_pos"][:, 1] += 0.02 * np.sin(2 * np.pi * 3.0 * truth["time"])
    driving = Span(2.0, 8.0)
    assert motion(truth, (0.5, 0.0, 0.3), HEIGHT, driving, NEVER).distance == pytest.approx(3.0, rel=0.02)


def test_each_fall_counts_once() -> None:
    truth = walk((0.5, 0.0))
    time = truth["time"]
    truth["root_pos"][(time > 2.0) & (time < 3.0), 2] = 0.1
    truth["root_quat"][(time > 5.0) & (time < 6.0)] = quat_from_euler([1.2, 0.0, 0.0])
    truth["root_quat"][(time > 7.0) & (time < 8.0)] = quat_from_euler([0.9, 0.0, 0.0])
    truth["root_quat"][(time > 9.0)] = np.nan
    assert motion(truth, (0.5, 0.0, 0.0), HEIGHT, WHOLE, WHOLE).falls == 3
    assert motion(truth, (0.5, 0.0, 0.0), HEIGHT, Span(4.0, 8.5), WHOLE).falls == 1


def test_a_policy_that_never_drove_has_no_figures() -> None:
    assert motion(walk((0.5, 0.0)), (0.5, 0.0, 0.0), HEIGHT, NEVER, NEVER) == Motion(0.0, 0, None, None)
    assert periods(np.arange(10.0), NEVER) is None
    assert percentiles(np.array([])) is None


def test_timing_is_that_of_the_driving_time() -> None:
    starts = np.concatenate([np.arange(0.0, 1.0, 0.1), np.arange(1.0, 2.0, 0.005)])
    loop = periods(starts, Span(1.0, 2.0))
    assert loop is not None
    assert [loop.p50, loop.p99, loop.max] == pytest.approx([0.005] * 3)
    log = {"command_stamp": np.array([0.0, 1.0, 2.0]), "command_written": np.array([0.5, 1.01, 2.03])}
    delay = command_delays(log, Span(1.0, 3.0))
    assert delay is not None
    assert delay.p50 == pytest.approx(0.02)
    assert delay.max == pytest.approx(0.03)


def summary(**changes: object) -> Summary:
    fields: dict[str, object] = {
        "bundle": "b",
        "digest": "d",
        "robot": "unitree_go2",
        "driver": "emulated",
        "command": (0.6, 0.0, 0.0),
        "seconds": 20.0,
        "interrupted": False,
        "problem": "",
        "motion": Motion(12.0, 0, 0.1, 0.05),
        "robot_loop": None,
        "policy_loop": None,
        "sensor_to_command": None,
        "real_time_factor": 1.0,
        "trips": (),
    }
    return Summary(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_good_session_has_no_failures() -> None:
    assert summary().failures(max_error=0.25) == ()
    assert summary(motion=None).failures(max_error=0.25) == ()


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"motion": Motion(1.0, 2, 0.1, 0.0)}, "fell 2 times"),
        ({"motion": Motion(1.0, 0, 0.3, 0.0)}, "tracking error 0.300 m/s, and 0.25 are allowed"),
        ({"motion": Motion(1.0, 0, float("nan"), 0.0)}, "tracking error nan m/s, and 0.25 are allowed"),
        ({"trips": ({"time": 1.0, "constraint": "tilt", "reaction": "damp", "message": "tilt"},)}, "1 monitor trip"),
        ({"problem": "the robot refused to sit: no"}, "the robot refused to sit: no"),
    ],
)
def test_each_failure_is_named(changes: dict[str, object], failure: str) -> None:
    assert summary(**changes).failures(max_error=0.25) == (failure,)


def test_the_summary_is_json() -> None:
    document = json.loads(summary().to_json())
    assert document["motion"]["tracking_error"] == 0.1
    assert document["command"] == [0.6, 0.0, 0.0]
