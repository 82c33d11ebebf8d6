"""What the safety constraints measure, as pure functions of batched arrays.

Each function gives a figure that is compared as `figure <= limit`: small is good, and NaN never passes.
Leading axes are free: one robot on a robot computer, all environments of a training run. The functions use
operators and methods that numpy arrays and torch tensors share, so that both run this code; limits must be
arrays of the same kind.
"""

import math

import numpy as np

from deploy_robot.arrays import Tensor, library_of, like

# Times the products of a quaternion's components, row by row, it gives the third row of the rotation matrix and the
# square of the quaternion's length.
_UP = np.zeros((16, 4))
_UP[[7, 13, 2, 8], [0, 0, 0, 0]] = 1.0, 1.0, -1.0, -1.0  # 2 (x z - w y)
_UP[[11, 14, 1, 4], [1, 1, 1, 1]] = 1.0  # 2 (y z + w x)
_UP[[0, 5, 10, 15], [2, 2, 2, 2]] = 1.0, -1.0, -1.0, 1.0  # w w - x x - y y + z z
_UP[[0, 5, 10, 15], [3, 3, 3, 3]] = 1.0


def worst(figures: Tensor) -> Tensor:
    """The largest figure of the last axis: (..., n) to (...). One NaN makes it NaN."""
    return np.maximum.reduce(figures, -1) if isinstance(figures, np.ndarray) else figures.amax(-1)


def not_finite(values: Tensor) -> Tensor:
    """How many of the numbers (..., n) are NaN or infinite: (...)."""
    return (~(abs(values) < math.inf)).sum(-1)


def beyond_range(values: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """How far each value lies outside [lower, upper], negative inside: (..., n) to (..., n)."""
    return library_of(values).maximum(lower - values, values - upper)


def share_of_limit(values: Tensor, limit: Tensor) -> Tensor:
    """Magnitude of each value in units of its limit: (..., n) to (..., n)."""
    return abs(values) / limit


def rate_share(steps: Tensor, interval: Tensor, rate_limit: Tensor) -> Tensor:
    """Speed of each step made within `interval` (s), in units of its limit: (..., n) to (..., n)."""
    return abs(steps) / (interval * rate_limit)


def norm_error(quat: Tensor) -> Tensor:
    """How far the length of a quaternion (..., 4) is from one: (...)."""
    return abs((quat * quat).sum(-1) ** 0.5 - 1.0)


def power(torque: Tensor, velocity: Tensor) -> Tensor:
    """Mechanical power of all joints together, W, braking counted as driving: (..., n), N m and rad/s, to (...)."""
    return abs(torque * velocity).sum(-1)


def share_outside(values: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Share of the numbers (..., n) that lie outside [lower, upper]: (...). One that is not finite makes it NaN."""
    inside = (lower <= values) & (values <= upper)
    return (~inside).sum(-1) / inside.shape[-1] + 0.0 * values.sum(-1)


def world_up(imu_quat: Tensor) -> Tensor:
    """The world's z axis in the IMU frame, (..., 3): the third row of the rotation matrix.

    J. Sola, "Quaternion kinematics for the error-state Kalman filter", arXiv:1711.02508, equation 115.

    Args:
        imu_quat: (..., 4) w, x, y, z, world_from_imu. Of any length but zero, which gives NaN.
    """
    products = imu_quat[..., :, None] * imu_quat[..., None, :]
    up = products.reshape(*products.shape[:-2], 16) @ like(_UP, imu_quat)
    return up[..., :3] / up[..., 3:]


def lean(world_up: Tensor, up: Tensor) -> Tensor:
    """Angle between the base's up axis and the world's, from 0 to pi: (...).

    Args:
        world_up: (..., 3) the world's up axis, a unit vector in the IMU frame.
        up: (3,) the base's up axis, likewise.
    """
    cosine = (world_up @ up).clip(-1.0, 1.0)  # rounding may push it just past one; NaN stays NaN
    return library_of(cosine).arccos(cosine)


def tilt(imu_quat: Tensor, up: Tensor) -> Tensor:
    """`lean` of a base whose IMU has the orientation `imu_quat`, as `world_up` takes it: (...)."""
    return lean(world_up(imu_quat), up)
