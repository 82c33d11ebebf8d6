"""The border: states of robots in this project's terms and in Bullet's.

Here a state (..., 13 + 2 J) is position (3,) and orientation (4,) as (w, x, y, z) of the base's frame, the velocity
(3,) of its origin in the world, its angular velocity (3,) in its own frame, joint positions and velocities. In Bullet's
terms it is what `sim.engines.pybullet.spec.Batch` says: the base is where its centre of mass is, turned as its
principal axes are.
"""

import numpy as np
from numpy.typing import ArrayLike

from contract.rotations import (
    quat_conjugate,
    quat_multiply,
    quat_rotate,
    quat_rotate_inverse,
    wxyz_from_xyzw,
    xyzw_from_wxyz,
)
from sim.engines.pybullet.spec import ROOT, Array

_SPLIT = (3, 7, 10, ROOT)


def to_bullet(state: Array, com: ArrayLike, principal: ArrayLike) -> Array:
    """From this project's terms to Bullet's.

    Args:
        state: (..., 13 + 2 J); the orientation need not be of unit length.
        com: (..., 3) m, centre of mass of the base in its frame.
        principal: (..., 4) turns vectors in its principal axes into its frame.
    """
    pos, quat, linear, angular, joints = np.split(state, _SPLIT, axis=-1)
    quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    spin, arm = quat_rotate(quat, angular), quat_rotate(quat, com)
    turned = xyzw_from_wxyz(quat_multiply(quat, principal))
    return np.concatenate([pos + arm, turned, linear + np.cross(spin, arm), spin, joints], axis=-1)


def from_bullet(state: Array, com: ArrayLike, principal: ArrayLike) -> Array:
    """Inverse of `to_bullet`."""
    centre, turned, linear, spin, joints = np.split(state, _SPLIT, axis=-1)
    quat = quat_multiply(wxyz_from_xyzw(turned), quat_conjugate(principal))
    arm = quat_rotate(quat, com)
    angular = quat_rotate_inverse(quat, spin)
    return np.concatenate([centre - arm, quat, linear - np.cross(spin, arm), angular, joints], axis=-1)
