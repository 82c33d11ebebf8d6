"""Terrain as MuJoCo geoms."""

import mujoco
import numpy as np

from sim.terrains.shapes import Ground, HeightFieldShape, PlaneShape

FLOOR = "floor"
_BASE = 0.5  # m of solid ground below the lowest point of a height field


def add_ground(spec: mujoco.MjSpec, ground: Ground) -> tuple[str, ...]:
    """Add the shapes of `ground` to the world, and return their names.

    Ground has contype 1, conaffinity 0 and priority 0: the geom of higher priority gives a contact its friction, and
    that is the robot's, which is randomised.
    """
    names = []
    if ground.plane is not None:
        names.append(FLOOR)
        _add(spec, FLOOR, type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], quat=_tilt(ground.plane))
    for i, box in enumerate(ground.boxes):
        names.append(f"ground_box_{i}")
        _add(spec, names[-1], type=mujoco.mjtGeom.mjGEOM_BOX, pos=box.centre, size=box.half_size)
    for i, field in enumerate(ground.fields):
        names.append(f"ground_field_{i}")
        _add_field(spec, names[-1], field)
    return tuple(names)


def _add(spec: mujoco.MjSpec, name: str, **how: object) -> None:
    """What a robot's own defaults for geoms might change is said here."""
    spec.worldbody.add_geom(name=name, contype=1, conaffinity=0, priority=0, group=0, margin=0.0, gap=0.0, **how)


def _tilt(plane: PlaneShape) -> np.ndarray:
    """Rotation that turns z into the plane's normal."""
    quat = np.empty(4)
    mujoco.mju_quatZ2Vec(quat, np.array(plane.normal))
    return quat


def _add_field(spec: mujoco.MjSpec, name: str, field: HeightFieldShape) -> None:
    """MuJoCo scales elevation data to 0..1 by itself and puts its zero at the geom's origin."""
    rows, columns = field.heights.shape
    low, high = float(field.heights.min()), float(field.heights.max())
    half_x, half_y = 0.5 * field.spacing * (columns - 1), 0.5 * field.spacing * (rows - 1)
    spec.add_hfield(
        name=name,
        nrow=rows,
        ncol=columns,
        size=[half_x, half_y, max(high - low, 1e-6), _BASE],
        userdata=(field.heights - low).ravel().tolist(),
    )
    centre = [field.origin[0] + half_x, field.origin[1] + half_y, low]
    _add(spec, name, type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname=name, pos=centre)
