"""What the safety constraints measure, as pure functions of batched arrays.

Each function gives a figure that is compared as `figure <= limit`: small is good, and NaN never passes.
Leading axes are free: one robot on a robot computer, all environments of a training run. The functions use
operators and methods that numpy arrays and torch tensors share, so that both run this code; limits must be
arrays of the same kind.
"""

import math
from typing import Any

import numpy as np

# A numpy array or a torch tensor. This package installs no torch, hence no common type to name.
Tensor = Any


def worst(figures: Tensor) -> Tensor:
    """The largest figure of the last axis: (..., n) to (...). One NaN makes it NaN."""
    # torch's max(-1) gives indices too; its amax, like numpy's max, gives values alone.
    return figures.amax(-1) if hasattr(figures, "amax") else figures.max(-1)


def not_finite(values: Tensor) -> Tensor:
    """How many of the numbers (..., n) are NaN or infinite: (...)."""
    return (~(abs(values) < math.inf)).sum(-1)


def beyond_range(values: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """How far each value lies outside [lower, upper], negative inside: (..., n) to (..., n)."""
    return abs(values - 0.5 * (lower + upper)) - 0.5 * (upper - lower)


def share_of_limit(values: Tensor, limit: Tensor) -> Tensor:
    """Magnitude of each value in units of its limit: (..., n) to (..., n)."""
    return abs(values) / limit


def rate_share(steps: Tensor, interval: Tensor, rate_limit: Tensor) -> Tensor:
    """Speed of each step made within `interval` (s), in units of its limit: (..., n) to (..., n)."""
    return abs(steps) / (interval * rate_limit)


def norm_error(quat: Tensor) -> Tensor:
    """How far the length of a quaternion (..., 4) is from one: (...)."""
    return abs((quat * quat).sum(-1) ** 0.5 - 1.0)


def tilt(imu_quat: Tensor, up: Tensor) -> Tensor:
    """Angle between the base's up axis and the world's, from 0 to pi: (...).

    Args:
        imu_quat: (..., 4) w, x, y, z, world_from_imu. Of any length but zero, which gives NaN.
        up: (3,) the base's up axis, a unit vector in the IMU frame.

    The world's z component of the turned axis is the third row of the rotation matrix times `up`, J. Sola,
    "Quaternion kinematics for the error-state Kalman filter", arXiv:1711.02508, equation 115.
    """
    w, x, y, z = imu_quat[..., 0], imu_quat[..., 1], imu_quat[..., 2], imu_quat[..., 3]
    squared = w * w + x * x + y * y + z * z
    along = 2.0 * (x * z - w * y) * up[0] + 2.0 * (y * z + w * x) * up[1]
    along = along + (w * w - x * x - y * y + z * z) * up[2]
    cosine = (along / squared).clip(-1.0, 1.0)  # rounding may push it just past one; NaN stays NaN
    return cosine.arccos() if hasattr(cosine, "arccos") else np.arccos(cosine)
