"""The supervisor's door: takes in robot states and joint targets, and lets nothing in that is not sound.

Unsound is what has a wrong shape, a number that is not finite, or a time stamp from the future. It is counted
and dropped, and what was last sound stays and grows old. What is not newer than what is here is dropped, too.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from deploy_robot import monitors
from deploy_robot.driver import Array, RobotState
from deploy_robot.target import Target

CLOCK_TOLERANCE = 0.02  # s: a stamp may be this much later than a clock that was read just before


class StateIntake:
    """The newest sound robot state. Before the first one: the given pose, level, at rest, infinitely old."""

    def __init__(self, pose: Array) -> None:
        self._size = pose.size
        self.joint_pos = pose
        self.joint_vel: Array = np.zeros(pose.size)
        self.joint_torque: Array | None = None
        self.imu_quat: Array = np.array([1.0, 0.0, 0.0, 0.0])
        self.faults = 0
        self._seq: object = None
        self.forget()

    def forget(self) -> None:
        """The clock has jumped back: stamps from before mean nothing now."""
        self.stamp = self._joints_changed = self._imu_changed = -math.inf
        self._joints: Array = np.full(2 * self._size, np.nan)  # equal to nothing
        self._imu: Array = np.full(7, np.nan)

    @property
    def frozen(self) -> float:
        """For how long, s, new samples have brought the same joint values or the same IMU values."""
        return self.stamp - min(self._joints_changed, self._imu_changed) if self.stamp > -math.inf else 0.0

    def offer(self, state: RobotState | None, now: float) -> None:
        """Take in a state that came in at or before `now`; None if none ever did."""
        if state is None:
            return
        n = self._size
        try:
            stamp = float(state.stamp)
            if stamp <= self.stamp or (self._seq is not None and state.seq == self._seq):
                return
            parts = [(state.joint_pos, n), (state.joint_vel, n), (state.imu_quat, 4), (state.gyro, 3)]
            if state.joint_torque is not None:
                parts.append((state.joint_torque, n))
            values = np.concatenate([_vector(numbers, size) for numbers, size in parts])
        except (AttributeError, TypeError, ValueError, OverflowError):
            self.faults = 1
            return
        self.faults = _faults(values, stamp, now=now)
        if self.faults:
            return
        joints, imu, torque = values[: 2 * n], values[2 * n : 2 * n + 7], values[2 * n + 7 :]
        if not (joints == self._joints).all():
            self._joints_changed = stamp
        if not (imu == self._imu).all():
            self._imu_changed = stamp
        self._joints, self._imu, self._seq, self.stamp = joints, imu, state.seq, stamp
        self.joint_pos, self.joint_vel, self.imu_quat = joints[:n], joints[n:], imu[:4]
        self.joint_torque = None if state.joint_torque is None else torque


class TargetIntake:
    """The newest sound joint target, and the one before. Before the first: the given pose, infinitely old."""

    def __init__(self, pose: Array, period: float) -> None:
        self._size = pose.size
        self._period = period
        self.joint_target = self.previous = pose
        self.interval = period  # s, between those two; never below the period, since targets may come in bunches
        self.faults = 0
        self.forget()

    def forget(self) -> None:
        """The clock has jumped back: stamps from before mean nothing now."""
        self.stamp = self.received = -math.inf

    def offer(self, target: Target | None, now: float) -> None:
        """Take in a target that came in at or before `now`; None if none ever did."""
        if target is None:
            return
        try:
            stamp, received = float(target.stamp), float(target.received)
            if stamp < self.stamp or received <= self.received:
                return
            values = _vector(target.joint_target, self._size)
        except (AttributeError, TypeError, ValueError, OverflowError):
            self.faults = 1
            return
        self.faults = _faults(values, stamp, received, now=now)
        if self.faults:
            return
        first = self.received == -math.inf
        self.previous = values if first else self.joint_target
        self.interval = self._period if first else max(received - self.received, self._period)
        self.joint_target, self.stamp, self.received = values, stamp, received


def _vector(values: ArrayLike, size: int) -> Array:
    # A copy: whoever handed the numbers over may go on using its own array.
    vector = np.array(values, dtype=np.float64)
    if vector.shape != (size,):
        raise ValueError(f"shape {vector.shape} instead of ({size},)")
    return vector


def _faults(values: Array, *stamps: float, now: float) -> int:
    """How many values are not finite, and how many stamps are not in the past."""
    future = sum(not -math.inf < stamp <= now + CLOCK_TOLERANCE for stamp in stamps)
    return int(monitors.not_finite(values)) + future
