"""Where the picture is taken from: a pinhole camera that glides beside the robot."""

from dataclasses import dataclass
from math import cos, radians, sin, tan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.rendering.frames import Frames

Array = NDArray[np.float64]

NEAR = 0.1  # m, closest that anything is drawn


@dataclass(frozen=True)
class Camera:
    """A camera at a fixed offset from a point that follows the robot smoothly.

    The direction of view stays fixed in the world, so that turning is seen as turning.
    """

    distance: float = 1.75  # m
    azimuth: float = radians(-52)  # from the heading of the first frame to the camera, about world z
    elevation: float = radians(17)  # above the horizon
    field_of_view: float = radians(38)  # vertical
    smoothing: float = 0.5  # s, standard deviation of the filter over the robot's path

    def offset(self, frames: Frames) -> Array:
        """Camera position minus the point it looks at (3,) m."""
        w, x, y, z = frames.root_quat[0]
        heading = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        angle = heading + self.azimuth
        flat = cos(self.elevation)
        return self.distance * np.array([flat * cos(angle), flat * sin(angle), sin(self.elevation)])

    def targets(self, frames: Frames) -> Array:
        """The point looked at in each frame (T, 3) m: the robot's path, low-passed by a Gaussian in time.

        Smoothing both ways in time keeps the robot centred, where a causal filter would lag behind it.
        """
        path = frames.root_pos.copy()
        # Height is nearly constant on flat ground; its bounce is what should be seen, not followed.
        path[:, 2] = np.median(path[:, 2]) - 0.06
        if len(frames) == 1:
            return path
        period = float(np.median(np.diff(frames.time)))
        reach = max(int(3 * self.smoothing / period), 1)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * period / self.smoothing) ** 2)
        kernel /= kernel.sum()
        # Odd reflection about the ends continues a steady walk, where padding would pull the filter back.
        padded = np.pad(path, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
        return np.stack([np.convolve(padded[:, i], kernel, mode="valid") for i in range(3)], axis=1)


class Pinhole:
    """Projection between the world and the pixels of one picture: x to the right, y down, from top left."""

    def __init__(self, offset: Array, field_of_view: float, width: int, height: int):
        self.width, self.height = width, height
        self.offset = offset
        self.forward = -offset / np.linalg.norm(offset)
        self.right = np.cross(self.forward, [0.0, 0.0, 1.0])
        self.right /= np.linalg.norm(self.right)
        self.up = np.cross(self.right, self.forward)
        self.focal = height / (2 * tan(field_of_view / 2))  # pixels
        self.look_at(np.zeros(3))

    def look_at(self, target: Array) -> None:
        """Move the camera without turning it, so that `target` (3,) m is in the centre of the picture."""
        self.target = target
        self.eye = target + self.offset

    def project(self, points: Array) -> Array:
        """Pixel coordinates (..., 2) of world points (..., 3) m, which must lie in front of the camera."""
        ray = points - self.eye
        depth = np.maximum(ray @ self.forward, NEAR)
        x = self.width / 2 + self.focal * (ray @ self.right) / depth
        y = self.height / 2 - self.focal * (ray @ self.up) / depth
        return np.stack([x, y], axis=-1)

    def rays(self, columns: NDArray[Any], rows: NDArray[Any]) -> Array:
        """World direction (..., 3) through pixel middles (columns, rows), 1 long along the line of sight."""
        x = (columns[..., None] + (0.5 - self.width / 2)) / self.focal
        y = ((self.height / 2 - 0.5) - rows[..., None]) / self.focal
        return self.forward + x * self.right + y * self.up

    def window(self, centres: Array, radii: Array) -> tuple[int, int, int, int] | None:
        """Left, top, right, bottom of the pixels that spheres (G, 3) m, (G,) m may cover; None for none."""
        middle = self.project(centres)
        depth = np.maximum((centres - self.eye) @ self.forward - radii, NEAR)
        reach = (self.focal * radii / depth)[:, None]
        limit = (self.width, self.height)
        left, top = (int(v) for v in np.clip(np.floor((middle - reach).min(axis=0)), 0, limit))
        right, bottom = (int(v) for v in np.clip(np.ceil((middle + reach).max(axis=0)), 0, limit))
        return (left, top, right, bottom) if right > left and bottom > top else None
