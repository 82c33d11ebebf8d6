"""What identification reads: a robot's motion, and the joint targets that caused it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MotionLog:
    """Samples and targets on one clock. T samples of J joints, U targets.

    A target holds from the moment it was written to the next. Where samples are missing there is a gap in `time`.

    Attributes:
        name: what it is called in a report.
        time: (T,) s, when each sample was taken, rising.
        joint_pos: (T, J) rad. joint_vel: (T, J) rad/s.
        target_time: (U,) s, when each target was written to the motors, rising. target: (U, J) rad.
        imu_quat: (T, 4) world_from_imu. gyro: (T, 3) rad/s, IMU frame. None where there is no IMU.
        age: (T,) s, how old each sample was when it was received; None where that is not known.

    Raises:
        UsageError: nothing in it, shapes that do not match, times that do not rise, or numbers that are not finite.
    """

    name: str
    time: Array
    joint_pos: Array
    joint_vel: Array
    target_time: Array
    target: Array
    imu_quat: Array | None = None
    gyro: Array | None = None
    age: Array | None = None

    def __post_init__(self) -> None:
        samples, joints = len(self.time), self.joint_pos.shape[-1]
        if samples < 2 or len(self.target_time) < 1:
            raise UsageError(f"{self.name}: holds no motion: {samples} samples and {len(self.target_time)} targets")
        shapes = {
            "time": (samples,),
            "joint_pos": (samples, joints),
            "joint_vel": (samples, joints),
            "target_time": (len(self.target_time),),
            "target": (len(self.target_time), joints),
            "imu_quat": (samples, 4),
            "gyro": (samples, 3),
            "age": (samples,),
        }
        for field, shape in shapes.items():
            values = getattr(self, field)
            if values is None:
                continue
            if values.shape != shape:
                raise UsageError(f"{self.name}: {field} must be {shape}, is {values.shape}")
            if not np.isfinite(values).all():
                raise UsageError(f"{self.name}: {field} holds a number that is not finite")
        for field in ("time", "target_time"):
            if not (np.diff(getattr(self, field)) > 0.0).all():
                raise UsageError(f"{self.name}: {field} must rise")

    @property
    def seconds(self) -> float:
        """Time that is covered by samples, gaps left out."""
        steps = np.diff(self.time)
        return float(steps[steps <= 3.0 * np.median(steps)].sum())

    def targets_at(self, start: Array, width: float) -> Array:
        """Mean target (..., J) over each span of `width` s that begins at `start` (...).

        The mean, so that where a target changes within a physics step counts: it makes motion a smooth function of a
        delay.
        """
        # Integral of what holds; the first target holds since ever.
        held = np.diff(self.target_time)[:, None] * self.target[:-1]
        integral = np.concatenate([np.zeros((1, self.target.shape[1])), np.cumsum(held, axis=0)])

        def until(time: Array) -> Array:
            row = np.clip(np.searchsorted(self.target_time, time, side="right") - 1, 0, len(self.target) - 1)
            return np.asarray(integral[row] + (time - self.target_time[row])[..., None] * self.target[row])

        return (until(start + width) - until(start)) / width
