"""Batched quaternion maths in numpy. Quaternions are (..., 4) as (w, x, y, z), vectors (..., 3).

Batches broadcast. Functions expect unit quaternions and do not normalise them: a sensor that sends something
else should be noticed, not repaired. NaN in gives NaN out, never an error. `sim.rotations` is the torch twin.

Formulas: J. Sola, "Quaternion kinematics for the error-state Kalman filter", arXiv:1711.02508, sections 1, 2.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]


def quat_multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """Hamilton product, the rotation `b` followed by `a`: world_from_b = world_from_a * a_from_b."""
    aw, ax, ay, az = _components(a)
    bw, bx, by, bz = _components(b)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def quat_conjugate(q: ArrayLike) -> Array:
    """The inverse rotation, for a unit quaternion."""
    q = _float(q)
    return q * np.array([1.0, -1.0, -1.0, -1.0], dtype=q.dtype)


def quat_rotate(q: ArrayLike, v: ArrayLike) -> Array:
    """Turn vectors by unit quaternions: body to world for world_from_body."""
    q, v = _float(q), _float(v)
    w, u = q[..., :1], q[..., 1:]
    t = 2.0 * np.cross(u, v)
    return v + w * t + np.cross(u, t)


def quat_rotate_inverse(q: ArrayLike, v: ArrayLike) -> Array:
    """Turn vectors by the inverse of unit quaternions: world to body for world_from_body."""
    return quat_rotate(quat_conjugate(q), v)


def quat_from_euler(rpy: ArrayLike) -> Array:
    """From roll, pitch, yaw (..., 3) in rad, about the fixed axes x, then y, then z, as in URDF and ROS."""
    half = 0.5 * _float(rpy)
    cr, cp, cy = _components(np.cos(half))
    sr, sp, sy = _components(np.sin(half))
    return np.stack(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ],
        axis=-1,
    )


def euler_from_quat(q: ArrayLike) -> Array:
    """Roll, pitch, yaw (..., 3) in rad, the inverse of `quat_from_euler`.

    Roll and yaw are in [-pi, pi], pitch in [-pi/2, pi/2]. At a pitch of +-pi/2 roll and yaw turn about one
    axis, and only their difference or sum means anything; the angles still give the rotation back.

    Formula: E. Bernardes and S. Viollet, "Quaternion to Euler angles conversion: a direct, general and
    computationally efficient method", PLoS ONE 17(11), 2022. It has no arc sine, so it stays accurate there.
    """
    w, x, y, z = _components(q)
    half_sum = np.arctan2(x + z, w - y)
    half_difference = np.arctan2(x - z, w + y)
    pitch = 2.0 * np.arctan2(np.hypot(w + y, x - z), np.hypot(w - y, x + z)) - 0.5 * np.pi
    return np.stack([_wrap(half_sum + half_difference), pitch, _wrap(half_sum - half_difference)], axis=-1)


def quat_to_matrix(q: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3), whose product with a vector is that of `quat_rotate`."""
    w, x, y, z = _components(q)
    rows = [
        [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def wxyz_from_xyzw(q: ArrayLike) -> Array:
    """From the order of ROS, PyBullet and Isaac Lab to that of this project."""
    return np.roll(_float(q), 1, axis=-1)


def xyzw_from_wxyz(q: ArrayLike) -> Array:
    """From the order of this project to that of ROS, PyBullet and Isaac Lab."""
    return np.roll(_float(q), -1, axis=-1)


def projected_gravity(q: ArrayLike) -> Array:
    """Unit vector (..., 3) of gravity in the body frame, from world_from_body: (0, 0, -1) when level."""
    w, x, y, z = _components(q)
    return np.stack([-2.0 * (x * z - w * y), -2.0 * (y * z + w * x), 2.0 * (x * x + y * y) - 1.0], axis=-1)


def tilt(q: ArrayLike) -> Array:
    """Angle (...) in rad, from 0 to pi, between the body's z axis and the world's, from world_from_body.

    The half angle's tangent, because the arc cosine of the z component loses half its digits near level.
    """
    w, x, y, z = _components(q)
    return 2.0 * np.arctan2(np.hypot(x, y), np.hypot(w, z))


def yaw(q: ArrayLike) -> Array:
    """Heading (...) in rad, in (-pi, pi]: the direction of the body's x axis in the world's xy plane."""
    w, x, y, z = _components(q)
    return np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def _wrap(angle: Array) -> Array:
    """The same angle in [-pi, pi]; one already there comes back unchanged to the last bit."""
    return angle - 2.0 * np.pi * np.round(angle / (2.0 * np.pi))


def _float(values: ArrayLike) -> Array:
    """As a floating point array, keeping float32 as it is."""
    array = np.asarray(values)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def _components(values: ArrayLike) -> tuple[Array, ...]:
    """The last axis, unpacked."""
    return tuple(np.moveaxis(_float(values), -1, 0))
