"""Primitives in place of meshes and ellipsoids."""

from pathlib import Path

import mujoco
import numpy as np

from contract.errors import UsageError
from sim.formats.links import Array, Pose, Shape

MESHES = (".stl", ".obj", ".msh")  # that MuJoCo reads

# Of the half lengths of a bounding box: nearly equal, and much longer than thick.
_ROUND, _LONG = 1.25, 2.5
_UNTURNED = np.array([1.0, 0.0, 0.0, 0.0])
_TURN_Z_TO = (np.array([0.5**0.5, 0.0, 0.5**0.5, 0.0]), np.array([0.5**0.5, -(0.5**0.5), 0.0, 0.0]), _UNTURNED)


def fitted(half: Array) -> tuple[Shape, tuple[float, ...], Array]:
    """The primitive that fills a box best: shape, size, and rotation (4,) in the box's axes.

    A sphere for what is nearly as wide as deep as high, a capsule for what is long and nearly round, else the box.

    Args:
        half: (3,) m, half lengths.
    """
    longest = int(np.argmax(half))
    thin, thick, length = np.sort(half).tolist()
    if length <= _ROUND * thin:
        return "sphere", (float(np.mean(half)),), _UNTURNED
    if length >= _LONG * thick and thick <= _ROUND * thin:
        radius = 0.5 * (thin + thick)
        return "capsule", (radius, length - radius), _TURN_Z_TO[longest]
    return "box", tuple(half.tolist()), _UNTURNED


def fitted_geom(model: mujoco.MjModel, i: int) -> tuple[Shape, tuple[float, ...], Pose]:
    """The primitive that fills the bounding box of geom number `i`, whatever shape that is: shape, size, pose."""
    centre, half = model.geom_aabb[i, :3], model.geom_aabb[i, 3:]
    shape, size, turn = fitted(half)
    return shape, size, Pose(model.geom_pos[i].copy(), model.geom_quat[i].copy()) @ Pose(centre.copy(), turn)


def fitted_mesh(path: Path, scale: Array) -> tuple[Shape, tuple[float, ...], Pose]:
    """The primitive that fills the bounding box of a mesh along its own principal axes: shape, size, pose in the mesh.

    Raises:
        UsageError: the file is missing, of a kind that cannot be read, or broken.
    """
    if not path.is_file():
        raise UsageError(f"{path}: this collision mesh is missing; put it there, or replace it by a box in the file")
    if path.suffix.lower() not in MESHES:
        raise UsageError(f"{path}: a collision mesh must be {', '.join(MESHES)} to be read; convert it")
    spec = mujoco.MjSpec()
    # The surface's inertia exists for every mesh, the volume's for a watertight one only.
    spec.add_mesh(
        name="mesh", file=str(path.absolute()), scale=scale.tolist(), inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    )
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="mesh")
    try:
        model = spec.compile()
    except ValueError as error:
        raise UsageError(f"{path}: this collision mesh cannot be read: {str(error).splitlines()[0]}") from error
    return fitted_geom(model, 0)
