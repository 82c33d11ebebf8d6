"""What the supervisor lets in: sound, newer states and targets, and nothing else."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy_robot.driver import RobotState
from deploy_robot.intake import CLOCK_TOLERANCE, StateIntake, TargetIntake, as_command
from deploy_robot.target import Target

POSE = np.array([0.1, 0.2, 0.3])
NOW = 10.0


def state(stamp: float = NOW, seq: Any = 1, **fields: Any) -> RobotState:
    values = {
        "joint_pos": POSE + 0.01 * stamp,
        "joint_vel": np.full(3, 0.5),
        "imu_quat": np.array([1.0, 0.0, 0.0, 0.0]),
        "gyro": np.full(3, 0.1 * stamp),
        "joint_torque": np.full(3, 2.0),
    }
    return RobotState(stamp=stamp, seq=seq, **{**values, **fields})


def target(stamp: Any = NOW, received: Any = NOW, joint_target: Any = POSE) -> Target:
    return Target(stamp, received, joint_target)


UNSOUND_STATES: dict[str, Callable[[], Any]] = {
    "NaN position": lambda: state(joint_pos=np.array([0.0, math.nan, 0.0])),
    "infinite velocity": lambda: state(joint_vel=np.array([0.0, 0.0, math.inf])),
    "NaN orientation": lambda: state(imu_quat=np.full(4, math.nan)),
    "NaN rate": lambda: state(gyro=np.array([math.nan, 0.0, 0.0])),
    "NaN torque": lambda: state(joint_torque=np.array([math.nan, 0.0, 0.0])),
    "too few joints": lambda: state(joint_pos=np.zeros(2)),
    "too many joints": lambda: state(joint_vel=np.zeros(4)),
    "a batch": lambda: state(joint_pos=np.zeros((1, 3))),
    "no positions": lambda: state(joint_pos=None),
    "words": lambda: state(joint_vel=["a", "b", "c"]),
    "ragged lists": lambda: state(imu_quat=[[1.0], 0.0, 0.0, 0.0]),
    "a huge integer": lambda: state(gyro=[10**400, 0, 0]),
    "NaN temperature": lambda: state(temperature=np.array([40.0, math.nan, 40.0])),
    "too few temperatures": lambda: state(temperature=np.full(2, 40.0)),
    "NaN charge": lambda: state(battery=math.nan),
    "a charge that is a list": lambda: state(battery=[0.5, 0.5]),
    "a charge that is a word": lambda: state(battery="full"),
    "NaN force": lambda: state(foot_force=np.array([math.nan])),
    "forces on feet that are not there": lambda: state(foot_force=np.zeros(5)),
    "NaN stamp": lambda: state(stamp=math.nan),
    "infinite stamp": lambda: state(stamp=math.inf),
    "future stamp": lambda: state(stamp=NOW + 2 * CLOCK_TOLERANCE),
    "a stamp that is a word": lambda: dataclasses.replace(state(), stamp="now"),  # type: ignore[arg-type]
    "something else": lambda: "state",
}

UNSOUND_TARGETS: dict[str, Callable[[], Any]] = {
    "NaN": lambda: target(joint_target=np.array([0.0, math.nan, 0.0])),
    "infinite": lambda: target(joint_target=np.array([-math.inf, 0.0, 0.0])),
    "too few joints": lambda: target(joint_target=np.zeros(2)),
    "nothing": lambda: target(joint_target=None),
    "words": lambda: target(joint_target="abc"),
    "NaN stamp": lambda: target(stamp=math.nan),
    "future stamp": lambda: target(stamp=NOW + 2 * CLOCK_TOLERANCE),
    "NaN reception": lambda: target(received=math.nan),
    "future reception": lambda: target(received=NOW + 2 * CLOCK_TOLERANCE),
    "no stamp": lambda: target(stamp=None),
    "something else": lambda: 3.0,
}


def test_a_sound_state_is_taken_in() -> None:
    intake = StateIntake(POSE)
    assert intake.stamp == -math.inf
    intake.offer(None, NOW)
    assert intake.stamp == -math.inf
    sent = state()
    intake.offer(sent, NOW)
    assert intake.stamp == NOW
    assert intake.faults == 0
    assert intake.joint_pos.tolist() == sent.joint_pos.tolist()
    assert intake.joint_vel.tolist() == sent.joint_vel.tolist()
    assert intake.imu_quat.tolist() == sent.imu_quat.tolist()
    assert intake.joint_torque is not None
    assert intake.joint_torque.tolist() == [2.0, 2.0, 2.0]
    intake.offer(state(NOW + 0.01, 2, joint_torque=None), NOW + 0.01)
    assert intake.joint_torque is None


def test_what_the_sender_does_to_its_arrays_later_changes_nothing() -> None:
    states, targets = StateIntake(POSE), TargetIntake(POSE, 0.02)
    sent, asked = state(), target(joint_target=POSE.copy())
    states.offer(sent, NOW)
    targets.offer(asked, NOW)
    sent.joint_pos[:] = math.nan
    asked.joint_target[:] = math.nan
    assert np.isfinite(states.joint_pos).all()
    assert np.isfinite(targets.joint_target).all()


@pytest.mark.parametrize("make", UNSOUND_STATES.values(), ids=UNSOUND_STATES)
def test_an_unsound_state_is_counted_and_dropped(make: Callable[[], Any]) -> None:
    intake = StateIntake(POSE)
    intake.offer(state(NOW - 0.01, 0), NOW)
    before = intake.joint_pos.tolist()
    intake.offer(make(), NOW)
    assert intake.faults >= 1
    assert intake.stamp == NOW - 0.01
    assert intake.joint_pos.tolist() == before
    intake.offer(state(NOW + 0.01, 2), NOW + 0.01)
    assert intake.faults == 0
    assert intake.stamp == NOW + 0.01


@pytest.mark.parametrize("make", UNSOUND_TARGETS.values(), ids=UNSOUND_TARGETS)
def test_an_unsound_target_is_counted_and_dropped(make: Callable[[], Any]) -> None:
    intake = TargetIntake(POSE, 0.02)
    intake.offer(target(NOW - 0.03, NOW - 0.02, POSE + 0.1), NOW)
    intake.offer(make(), NOW)
    assert intake.faults >= 1
    assert intake.received == NOW - 0.02
    assert intake.joint_target.tolist() == (POSE + 0.1).tolist()
    intake.offer(target(NOW, NOW + 0.01), NOW + 0.01)
    assert intake.faults == 0


def test_what_a_robot_may_report_is_taken_in_and_must_then_go_on() -> None:
    intake = StateIntake(POSE, num_feet=2)
    intake.offer(state(), NOW)
    assert intake.temperature is intake.battery is intake.foot_force is None
    sent = {"temperature": np.full(3, 40.0), "battery": 0.7, "foot_force": np.array([10.0, 20.0])}
    intake.offer(state(NOW + 0.01, 2, **sent), NOW + 0.01)
    assert intake.faults == 0
    assert intake.temperature is not None
    assert intake.foot_force is not None
    assert (intake.temperature.tolist(), intake.battery) == ([40.0, 40.0, 40.0], 0.7)
    assert intake.foot_force.tolist() == [10.0, 20.0]
    for k, silent in enumerate(sent):
        intake.offer(state(NOW + 0.02, 3 + k, **{**sent, silent: None}), NOW + 0.02)
        assert intake.faults == 1
        assert intake.stamp == NOW + 0.01
        assert intake.battery == 0.7
    intake.offer(state(NOW + 0.03, 9, **{**sent, "battery": 0.6}), NOW + 0.03)
    assert (intake.faults, intake.battery) == (0, 0.6)


@pytest.mark.parametrize("odd", [[0.1], [[0.1, 0.2]], "ab", 3.0, [10**400, 0]])
def test_a_command_that_is_none_is_not_a_number(odd: Any) -> None:
    command = as_command(odd, 2)
    assert command is not None
    assert np.isnan(command).all()
    assert command.shape == (2,)


def test_a_command_is_kept_as_it_is() -> None:
    assert as_command(None, 2) is None
    command = as_command((0.1, math.nan), 2)
    assert command is not None
    assert command[0] == 0.1
    assert math.isnan(command[1])


def test_a_state_that_is_not_newer_is_dropped() -> None:
    intake = StateIntake(POSE)
    intake.offer(state(NOW, 5), NOW)
    for other in (state(NOW, 6), state(NOW - 0.01, 7), state(NOW + 0.01, 5)):
        intake.offer(dataclasses.replace(other, joint_pos=np.zeros(3)), NOW + 0.01)
        assert intake.joint_pos.any()
        assert intake.stamp == NOW
        assert intake.faults == 0
    # A robot that has started anew counts from the beginning.
    intake.offer(state(NOW + 0.01, 0), NOW + 0.01)
    assert intake.stamp == NOW + 0.01


def test_a_target_that_is_not_newer_is_dropped() -> None:
    intake = TargetIntake(POSE, 0.02)
    intake.offer(target(NOW, NOW), NOW)
    for stamp, received in ((NOW - 0.01, NOW + 0.01), (NOW, NOW), (NOW + 0.01, NOW - 0.01)):
        intake.offer(target(stamp, received, np.zeros(3)), NOW + 0.01)
        assert intake.joint_target.tolist() == POSE.tolist()
    # Two targets may come from one sensor sample.
    intake.offer(target(NOW, NOW + 0.01, np.zeros(3)), NOW + 0.01)
    assert not intake.joint_target.any()


def test_the_interval_of_targets_is_a_period_at_least() -> None:
    intake = TargetIntake(POSE, 0.02)
    intake.offer(target(NOW, NOW), NOW)
    assert intake.interval == 0.02
    assert intake.previous.tolist() == POSE.tolist()
    intake.offer(target(NOW, NOW + 0.001, POSE + 1.0), NOW + 0.001)
    assert intake.interval == 0.02
    assert intake.previous.tolist() == POSE.tolist()
    intake.offer(target(NOW, NOW + 0.061, POSE), NOW + 0.061)
    assert intake.interval == pytest.approx(0.06)


def test_frozen_time_counts_samples_that_bring_nothing_new() -> None:
    intake = StateIntake(POSE)
    assert intake.frozen == 0.0
    still = {"joint_pos": POSE, "gyro": np.zeros(3)}
    for k in range(11):
        intake.offer(state(NOW + 0.01 * k, k, **still), NOW + 0.01 * k)
    assert intake.frozen == pytest.approx(0.1)
    intake.offer(state(NOW + 0.2, 20, **{**still, "gyro": np.ones(3)}), NOW + 0.2)
    assert intake.frozen == pytest.approx(0.2)
    intake.offer(state(NOW + 0.21, 21, joint_pos=np.zeros(3), gyro=np.ones(3)), NOW + 0.21)
    assert intake.frozen == pytest.approx(0.01)


def test_after_a_jump_of_the_clock_earlier_stamps_are_taken_again() -> None:
    states, targets = StateIntake(POSE), TargetIntake(POSE, 0.02)
    states.offer(state(NOW, 1), NOW)
    targets.offer(target(), NOW)
    states.forget()
    targets.forget()
    states.offer(state(1.0, 2, joint_pos=POSE + 0.01 * NOW, gyro=np.full(3, 0.1 * NOW)), 1.0)
    targets.offer(target(1.0, 1.0, np.zeros(3)), 1.0)
    assert states.stamp == targets.received == 1.0
    assert states.frozen == 0.0


garbage = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=6,
)


@given(garbage, garbage, garbage, garbage)
def test_no_garbage_raises_or_gets_in(stamp: Any, seq: Any, numbers: Any, others: Any) -> None:
    states, targets = StateIntake(POSE), TargetIntake(POSE, 0.02)
    states.offer(RobotState(stamp, seq, numbers, others, others, numbers, numbers, None, others, numbers, others), NOW)
    targets.offer(Target(stamp, seq, numbers), NOW)
    assert np.isfinite(states.joint_pos).all()
    assert states.joint_pos.shape == (3,)
    assert np.isfinite(targets.joint_target).all()
    assert targets.joint_target.shape == (3,)
