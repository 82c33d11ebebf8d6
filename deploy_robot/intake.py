"""The supervisor's door: takes in robot states and joint targets, and lets nothing in that is not sound.

Unsound is what has a wrong shape, a number that is not finite, or a time stamp from the future. It is counted
and dropped, and what was last sound stays and grows old. What is not newer than what is here is dropped, too.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from deploy_robot import monitors
from deploy_robot.driver import Array, RobotState
from deploy_robot.target import Target

CLOCK_TOLERANCE = 0.02  # s: a stamp may be this much later than a clock that was read just before


class StateIntake:
    """The newest sound robot state. Before the first one: the given pose, level, at rest, infinitely old.

    Args:
        pose: (num_joints,) rad.
        num_feet: as many numbers has a robot's `foot_force`, if it reports it.
    """

    def __init__(self, pose: Array, num_feet: int = 0) -> None:
        n = self._size = pose.size
        self._required = {"joint_pos": n, "joint_vel": n, "imu_quat": 4, "gyro": 3}
        # What a robot may leave out of its states; but for the torque, which is then estimated, not out of some only.
        self._optional = {"joint_torque": n, "temperature": n, "battery": 1, "foot_force": num_feet}
        self.joint_pos = pose
        self.joint_vel: Array = np.zeros(pose.size)
        self.joint_torque: Array | None = None
        self.imu_quat: Array = np.array([1.0, 0.0, 0.0, 0.0])
        self.gyro: Array = np.zeros(3)
        self.temperature: Array | None = None
        self.battery: float | None = None
        self.foot_force: Array | None = None
        self.faults = 0
        self._seq: object = None
        self.forget()

    def forget(self) -> None:
        """The clock has jumped back: stamps from before mean nothing now."""
        self.stamp = self._joints_changed = self._imu_changed = -math.inf
        self._joints = self._imu = b""  # the numbers of the newest sample to the last bit

    @property
    def frozen(self) -> float:
        """For how long, s, new samples have brought the same joint values or the same IMU values."""
        return self.stamp - min(self._joints_changed, self._imu_changed) if self.stamp > -math.inf else 0.0

    def offer(self, state: RobotState | None, now: float) -> None:
        """Take in a state that came in at or before `now`; None if none ever did."""
        if state is None:
            return
        try:
            stamp = float(state.stamp)
            if stamp <= self.stamp or (self._seq is not None and state.seq == self._seq):
                return
            sizes = self._required | self._reported(state)
            values = np.concatenate([_vector(_field(state, name), size) for name, size in sizes.items()])
        except (AttributeError, TypeError, ValueError, OverflowError):
            self.faults = 1
            return
        self.faults = _faults(values, stamp, now=now)
        if self.faults:
            return
        self._keep(values, sizes)
        n = self._size
        joints, imu = values[: 2 * n].tobytes(), values[2 * n : 2 * n + 7].tobytes()
        if joints != self._joints:
            self._joints_changed = stamp
        if imu != self._imu:
            self._imu_changed = stamp
        self._joints, self._imu, self._seq, self.stamp = joints, imu, state.seq, stamp

    def _reported(self, state: RobotState) -> dict[str, int]:
        """Sizes of the optional fields that a state has; ValueError where it lacks one that an earlier state had."""
        found = {}
        for name, size in self._optional.items():
            if getattr(state, name) is not None:
                found[name] = size
            elif name != "joint_torque" and getattr(self, name) is not None:
                raise ValueError(f"{name} is no longer reported")
        return found

    def _keep(self, values: Array, sizes: dict[str, int]) -> None:
        self.joint_torque = None
        end = 0
        for name, size in sizes.items():
            start, end = end, end + size
            setattr(self, name, float(values[start]) if name == "battery" else values[start:end])


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


def as_command(values: ArrayLike | None, size: int) -> Array | None:
    """A command (size,) of whatever is given for one; NaN where that is none at all, and None for None."""
    if values is None:
        return None
    try:
        return _vector(values, size)
    except (TypeError, ValueError, OverflowError):
        return np.full(size, np.nan)


def _field(state: RobotState, name: str) -> Any:
    value = getattr(state, name)
    return [value] if name == "battery" else value


def _vector(values: ArrayLike, size: int) -> Array:
    # A copy: whoever handed the numbers over may go on using its own array.
    vector = np.array(values, dtype=np.float64)
    if vector.shape != (size,):
        raise ValueError(f"shape {vector.shape} instead of ({size},)")
    return vector


def _faults(values: Array, *stamps: float, now: float) -> int:
    """How many values are not finite, and how many stamps are not in the past."""
    future = sum(not -math.inf < stamp <= now + CLOCK_TOLERANCE for stamp in stamps)
    # A sum is finite only of finite numbers, and quickly made; that of large ones may be infinite, hence the count.
    unsound = 0 if math.isfinite(np.add.reduce(values)) else int(monitors.not_finite(values))
    return unsound + future
