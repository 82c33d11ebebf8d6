"""A recording as a robot: its samples, in our order, at their pace, and then silence."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mcap", reason="mcap is not installed")

from contract import robots
from contract.errors import LandbridgeError, UsageError
from deploy_robot import cdr, recording
from deploy_robot.driver import JointCommand, RobotState
from deploy_robot.drivers.replay import ReplayDriver
from deploy_robot.recording import IMUS, JOINT_STATES, Message

ROBOT = robots.load("unitree_go2")
N = ROBOT.num_joints
REVERSED = tuple(reversed(ROBOT.joint_names))
ORIGIN = 1_700_000_000_000_000_000  # ns, ROS time
DELAY = 1_000_000  # ns from a sample to its message
QUAT = np.array([0.5, 0.5, -0.5, 0.5])


def sample(i: int, period: int, names: tuple[str, ...] = REVERSED) -> list[Message]:
    """Joint j at i + j / 100 rad, likewise -1, -2 for velocity and torque; names in another order than ours."""
    stamp = ORIGIN + i * period
    values = {name: i + j / 100 for j, name in enumerate(ROBOT.joint_names)}
    row = np.array([values.get(name, 0.0) for name in names])
    return [
        Message(JOINT_STATES, stamp + DELAY, cdr.joint_state(stamp, names, row, row - 1.0, row - 2.0)),
        Message(IMUS, stamp + DELAY, cdr.imu(stamp, "imu", QUAT, np.array([1.0, 2, 3]) * i, np.array([0, 0, 9.8]))),
    ]


def write(path: Path, messages: list[Message], robot: str = ROBOT.name) -> Path:
    path.write_bytes(recording.to_bytes(messages, recording.about(robot), "/left"))
    return path


def played(driver: ReplayDriver, seconds: float) -> list[RobotState]:
    """Every new state within that time."""
    states: list[RobotState] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = driver.read()
        if state is not None and (not states or state is not states[-1]):
            states.append(state)
        time.sleep(0.001)
    return states


def test_samples_come_at_their_pace_with_each_number_in_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mcap", [m for i in range(20) for m in sample(i, 10_000_000)])
    with ReplayDriver(ROBOT, str(path)) as driver:
        opened = time.monotonic()
        assert driver.capabilities.state_rate == pytest.approx(100.0)
        assert not driver.capabilities.hardware
        states = played(driver, 0.25)
        driver.write(JointCommand(np.zeros(N), np.zeros(N), np.zeros(N)))
        last = driver.read()
    assert driver.withheld_commands == 1
    assert last is states[-1], "after the end it is silent, and what was there keeps its stamp"
    assert last.seq == 20
    for state in states:
        i = state.seq - 1
        np.testing.assert_allclose(state.joint_pos, i + np.arange(N) / 100)
        np.testing.assert_allclose(state.joint_vel, state.joint_pos - 1.0)
        assert state.joint_torque is not None
        np.testing.assert_allclose(state.joint_torque, state.joint_pos - 2.0)
        np.testing.assert_array_equal(state.imu_quat, QUAT)
        np.testing.assert_allclose(state.gyro, [i, 2 * i, 3 * i])
        assert state.accel is not None
        assert state.accel[2] == 9.8
        assert state.stamp == pytest.approx(opened + 0.01 * i - 0.001, abs=0.05)
    assert [state.seq for state in states] == sorted({state.seq for state in states})


def test_it_can_be_played_again(tmp_path: Path) -> None:
    driver = ReplayDriver(ROBOT, str(write(tmp_path / "a.mcap", sample(0, 1))))
    for _ in range(2):
        with driver:
            state = driver.read()
            assert state is not None
            assert state.seq == 1
        with pytest.raises(LandbridgeError, match="not open"):
            driver.read()


def test_what_is_no_sound_sample_is_counted_and_left_out(tmp_path: Path) -> None:
    lonely = sample(1, 10)[:1]  # joints without their IMU
    other = sample(2, 10, names=("tail_joint", *ROBOT.joint_names[1:]))
    cut = [Message(topic, ORIGIN, b"\x00\x01\x00\x00\x01") for topic in (JOINT_STATES, IMUS)]
    path = write(tmp_path / "a.mcap", [*sample(0, 10), *lonely, *other, *cut])
    with ReplayDriver(ROBOT, str(path)) as driver:
        assert driver.rejected_frames == 4
        assert [state.seq for state in played(driver, 0.02)] == [1]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "cannot be read"),
        (lambda path: path.write_bytes(b"nonsense"), "not an MCAP file"),
        (lambda path: write(path, sample(0, 1), robot="unitree_go1"), "is of a unitree_go1, not unitree_go2"),
        (lambda path: write(path, sample(0, 1)[:1]), "holds no sample"),
    ],
)
def test_a_recording_that_cannot_be_played_is_one_sentence(tmp_path: Path, make: object, sentence: str) -> None:
    path = tmp_path / "a.mcap"
    make(path)  # type: ignore[operator]
    with pytest.raises(LandbridgeError, match=sentence):
        ReplayDriver(ROBOT, str(path)).open()


def test_without_a_path_it_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="give the path of a recording"):
        ReplayDriver(ROBOT, "")


@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_crash_the_parsers(data: bytes, begin_right: bool) -> None:
    for parse in (cdr.read_joint_state, cdr.read_imu):
        try:
            parse((b"\x00\x01\x00\x00" if begin_right else b"") + data)
        except cdr.CdrError:
            continue


def test_an_imu_without_acceleration_has_none() -> None:
    stamp, quat, gyro, accel = cdr.read_imu(cdr.imu(5, "imu", QUAT, np.arange(3.0), None))
    assert (stamp, accel) == (5, None)
    np.testing.assert_array_equal(quat, QUAT)
    np.testing.assert_array_equal(gyro, np.arange(3.0))


def test_a_joint_state_of_positions_alone_has_no_other_numbers() -> None:
    stamp, names, position, velocity, effort = cdr.read_joint_state(
        cdr.joint_state(-7, ("a", "bcd"), np.array([1.0, 2.0]), None, None)
    )
    assert (stamp, names, position.tolist()) == (-7, ("a", "bcd"), [1.0, 2.0])
    assert velocity.size == effort.size == 0
