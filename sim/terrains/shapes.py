"""What ground is made of: planes, boxes and height fields, which every engine can build."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vector = tuple[float, float, float]

_ROUNDING = 1e-9  # m: boxes that share an edge leave no gap there


@dataclass(frozen=True)
class PlaneShape:
    """A half-space through the origin, solid below. `normal` is a unit vector, world."""

    normal: Vector = (0.0, 0.0, 1.0)

    def height(self, x: Array, y: Array) -> Array:
        """Height of the surface at (x, y), m."""
        a, b, c = self.normal
        return np.asarray(-(a * x + b * y) / c)


@dataclass(frozen=True)
class BoxShape:
    """An upright box with its edges along the axes of the world. `centre` and `half_size` in m."""

    centre: Vector
    half_size: Vector

    @property
    def top(self) -> float:
        """Height of the upper face, m."""
        return self.centre[2] + self.half_size[2]

    def height(self, x: Array, y: Array) -> Array:
        """Height of the upper face at (x, y), -inf beside it, m."""
        reach_x, reach_y = (half + _ROUNDING for half in self.half_size[:2])
        inside = (np.abs(x - self.centre[0]) <= reach_x) & (np.abs(y - self.centre[1]) <= reach_y)
        return np.where(inside, self.top, -np.inf)


@dataclass(frozen=True, eq=False)
class HeightFieldShape:
    """A surface of triangles over a square grid, solid below.

    Each cell is split along the diagonal from its corner of least x and y to that of greatest x and y.

    Attributes:
        heights: (rows, columns) m; rows run along y, columns along x.
        spacing: m between neighbours.
        origin: (x, y) of `heights[0, 0]`, m.
    """

    heights: Array
    spacing: float
    origin: tuple[float, float]

    def triangles(self) -> tuple[Array, NDArray[np.int32]]:
        """Vertices (V, 3) m, world, and triangles (T, 3) that turn counter-clockwise seen from above."""
        rows, columns = self.heights.shape
        x = self.origin[0] + self.spacing * np.arange(columns)
        y = self.origin[1] + self.spacing * np.arange(rows)
        vertices = np.stack([*np.meshgrid(x, y), self.heights], axis=-1).reshape(-1, 3)
        first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
        right, up, across = first + 1, first + columns, first + columns + 1
        faces = np.concatenate([np.stack([first, right, across], 1), np.stack([first, across, up], 1)])
        return vertices, faces.astype(np.int32)

    def height(self, x: Array, y: Array) -> Array:
        """Height of the surface at (x, y), -inf beside it, m."""
        rows, columns = self.heights.shape
        u, v = (x - self.origin[0]) / self.spacing, (y - self.origin[1]) / self.spacing
        inside = (u >= 0) & (u <= columns - 1) & (v >= 0) & (v <= rows - 1)
        i = np.clip(np.floor(u).astype(int), 0, columns - 2)
        j = np.clip(np.floor(v).astype(int), 0, rows - 2)
        du, dv = np.clip(u - i, 0.0, 1.0), np.clip(v - j, 0.0, 1.0)
        h00, h10 = self.heights[j, i], self.heights[j, i + 1]
        h01, h11 = self.heights[j + 1, i], self.heights[j + 1, i + 1]
        lower = h00 + du * (h10 - h00) + dv * (h11 - h10)
        upper = h00 + dv * (h01 - h00) + du * (h11 - h01)
        return np.where(inside, np.where(du >= dv, lower, upper), -np.inf)


@dataclass(frozen=True)
class Ground:
    """All shapes of a terrain, in the world."""

    plane: PlaneShape | None = None
    boxes: tuple[BoxShape, ...] = ()
    fields: tuple[HeightFieldShape, ...] = ()

    def height(self, x: Array, y: Array) -> Array:
        """Height of the highest surface at (x, y), m; -inf where there is no ground."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        highest = np.full(np.broadcast(x, y).shape, -np.inf)
        planes = (self.plane,) if self.plane else ()
        shapes: tuple[PlaneShape | BoxShape | HeightFieldShape, ...] = (*planes, *self.boxes, *self.fields)
        for shape in shapes:
            highest = np.maximum(highest, shape.height(x, y))
        return highest
