"""Terrain as static PyBullet bodies."""

from collections.abc import Iterator

from sim.engines.pybullet.quiet import pybullet
from sim.terrains.shapes import Ground, HeightFieldShape

_CELLS = 60_000  # of a mesh: PyBullet takes 524288 indices at once, six a cell


def add_ground(client: int, ground: Ground) -> tuple[int, ...]:
    """Add the shapes of `ground` to the world of `client`, and return their bodies.

    PyBullet multiplies the friction of two bodies, and their restitution. The ground's is 1, so that a contact has the
    robot's.
    """
    bodies = []
    if ground.plane is not None:
        bodies.append(_add(client, pybullet.GEOM_PLANE, planeNormal=ground.plane.normal))
    for box in ground.boxes:
        bodies.append(_add(client, pybullet.GEOM_BOX, box.centre, halfExtents=box.half_size))
    for field in ground.fields:
        for strip in _strips(field):
            vertices, triangles = strip.triangles()
            # Without the flag a foot that slides over the seam of two triangles is thrown up by its edge.
            flags = pybullet.GEOM_FORCE_CONCAVE_TRIMESH | pybullet.GEOM_CONCAVE_INTERNAL_EDGE
            mesh = {"vertices": vertices.tolist(), "indices": triangles.ravel().tolist()}
            bodies.append(_add(client, pybullet.GEOM_MESH, flags=flags, **mesh))
    return tuple(bodies)


def _add(client: int, kind: int, at: tuple[float, float, float] = (0.0, 0.0, 0.0), **shape: object) -> int:
    index = pybullet.createCollisionShape(kind, physicsClientId=client, **shape)
    body: int = pybullet.createMultiBody(0.0, index, basePosition=at, physicsClientId=client)
    pybullet.changeDynamics(body, -1, lateralFriction=1.0, restitution=1.0, physicsClientId=client)
    return body


def _strips(field: HeightFieldShape) -> Iterator[HeightFieldShape]:
    """The field in strips of rows, each small enough for one mesh; neighbours share a row."""
    rows, columns = field.heights.shape
    depth = max(1, _CELLS // (columns - 1))
    for first in range(0, rows - 1, depth):
        y = field.origin[1] + first * field.spacing
        yield HeightFieldShape(field.heights[first : first + depth + 1], field.spacing, (field.origin[0], y))
