"""Windows of a log: short stretches, each simulated from where the robot was at its beginning.

Short ones, since a simulation that is only a little wrong drifts away, a free base most of all, and then tells nothing
(multiple shooting: Bock, Plitt, "A multiple shooting algorithm for direct solution of optimal control problems", IFAC
1984).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError
from domain_rand.identification.log import MotionLog

Array = NDArray[np.float64]

_HALF_WIDTH = 0.02  # s to both sides of a window's beginning from which its state is fitted


@dataclass(frozen=True, eq=False)
class Windows:
    """S windows of M samples each.

    Attributes:
        start: (S,) s, beginning of each.
        rows: (S, M) which samples of the log are compared.
        offset: (S, M) s, when they were taken, since the beginning.
        joint_pos, joint_vel, joint_acc: (S, J) at the beginning, fitted to the samples around it.
        quat: (S, 4) of the IMU then. gyro: (S, 3). None without an IMU.
    """

    start: Array
    rows: NDArray[np.int64]
    offset: Array
    joint_pos: Array
    joint_vel: Array
    joint_acc: Array
    quat: Array | None
    gyro: Array | None


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one sample of each signal, estimated from how rough the log is."""

    joint_pos: float  # rad
    joint_vel: float  # rad/s
    gyro: float  # rad/s
    tilt: float  # of the direction of gravity, 1


def cut(log: MotionLog, seconds: float, sample_period: float, noise: Noise) -> Windows:
    """As many windows of `seconds` as fit, one after another, with a sample every `sample_period` s or so.

    Raises:
        UsageError: not one fits.
    """
    period = float(np.median(np.diff(log.time)))
    step = max(1, round(sample_period / period))
    half = max(2, round(_HALF_WIDTH / period))
    length = round(seconds / period)
    first, firsts = half, []
    while first + length < len(log.time):
        span = log.time[first - half : first + length + 1]
        gap = np.flatnonzero(np.diff(span) > 3.0 * period)
        if gap.size:
            first += int(gap[-1]) + 1  # begin behind it
            continue
        firsts.append(first)
        first += length
    if not firsts:
        raise UsageError(f"{log.name}: no window of {seconds:g} s without a gap in its {log.seconds:.1f} s")
    start = np.array(firsts)
    rows = start[:, None] + np.arange(step, length + 1, step)
    around = start[:, None] + np.arange(-half, half + 1)
    fits = [
        _fit(log.time[near] - log.time[first], log.joint_pos[near], log.joint_vel[near], noise)
        for first, near in zip(start, around, strict=True)
    ]
    pos, vel, acc = (np.stack(parts) for parts in zip(*fits, strict=True))
    quat = gyro = None
    if log.imu_quat is not None and log.gyro is not None:
        nearby = log.imu_quat[around]
        nearby = nearby * np.sign((nearby * nearby[:, half : half + 1]).sum(axis=2, keepdims=True))
        quat = nearby.mean(axis=1)
        quat /= np.linalg.norm(quat, axis=1, keepdims=True)
        gyro = log.gyro[around].mean(axis=1)
    return Windows(log.time[start], rows, log.time[rows] - log.time[start, None], pos, vel, acc, quat, gyro)


def _fit(time: Array, pos: Array, vel: Array, noise: Noise) -> tuple[Array, Array, Array]:
    """Position, velocity and acceleration (J,) at time 0 of the parabola that fits both signals best."""
    one, zero = np.ones_like(time), np.zeros_like(time)
    design = np.concatenate(
        [
            np.stack([one, time, 0.5 * time**2], axis=1) / noise.joint_pos,
            np.stack([zero, one, time], axis=1) / noise.joint_vel,
        ]
    )
    values = np.concatenate([pos / noise.joint_pos, vel / noise.joint_vel])
    solution = np.linalg.lstsq(design, values, rcond=None)[0]
    return solution[0], solution[1], solution[2]


def noise_of(log: MotionLog) -> Noise:
    """Noise that is independent from sample to sample; what varies slowly is not seen."""
    gravity = None if log.imu_quat is None else _down(log.imu_quat)
    return Noise(
        max(_roughness(log.joint_pos), 1e-4),
        max(_roughness(log.joint_vel), 1e-3),
        max(_roughness(log.gyro), 1e-3) if log.gyro is not None else 1.0,
        max(_roughness(gravity), 1e-4) if gravity is not None else 1.0,
    )


def _roughness(values: Array) -> float:
    """From third differences, whose variance is 20 times that of white noise; the median is not led by jumps."""
    third = np.abs(np.diff(values, n=3, axis=0))
    return float(np.median(third) / 0.6745 / np.sqrt(20.0)) if third.size else 0.0


def _down(quat: Array) -> Array:
    """(T, 3) direction of gravity in the frame of `quat` (T, 4)."""
    w, x, y, z = quat.T
    return -np.stack([2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)], axis=1)
