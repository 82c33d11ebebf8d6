"""The backdrop: a chequered floor under a plain sky, in closed form, and the robot's soft shadow on it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sim.rendering.camera import Pinhole

Array = NDArray[np.float64]
Pixels = NDArray[np.float32]
Cast = Callable[[Array, Array], tuple[NDArray[np.int32], Array]]

TILE = 0.5  # m
LIGHT = np.array([0.35, -0.25, 1.0])  # towards the sun; not normalised
_DARK = np.array([118, 126, 138], dtype=np.float32)
_BRIGHT = np.array([146, 154, 166], dtype=np.float32)
_HORIZON = np.array([214, 222, 232], dtype=np.float32)
_ZENITH = np.array([150, 176, 208], dtype=np.float32)
_HAZE = (2.5, 11.0)  # m from the camera, where it begins and where nothing else is seen
_SHADOW = 0.45  # share of light that a shadow takes
_SHADOW_STEP = 4  # pixels between the rays that look for shadow; the blur hides the steps
_SUN_DISTANCE = 40.0  # m, far enough for the shadow to be that of parallel light


class Ground:
    """Draws sky, floor and shadow for a camera that moves without turning or rising.

    Everything that depends on the direction of a pixel alone is worked out once, here.
    """

    def __init__(self, pinhole: Pinhole):
        self._pinhole = pinhole
        rows, columns = np.mgrid[: pinhole.height, : pinhole.width]
        rays = pinhole.rays(columns, rows)
        top = self._horizon = int(np.count_nonzero(rays[:, 0, 2] >= -1e-3))
        down = rays[top:]
        reach = pinhole.eye[2] / -down[..., 2]
        tiles = down[..., :2] * reach[..., None] / TILE  # from below the camera
        footprint = np.maximum(np.abs(np.gradient(tiles, axis=0)), np.abs(np.gradient(tiles, axis=1)))
        self._half_tiles = (tiles / 2).astype(np.float32)
        self._sharpness = (4 / footprint).astype(np.float32)
        distance = np.linalg.norm(down, axis=-1) * reach
        haze = np.clip((distance - _HAZE[0]) / (_HAZE[1] - _HAZE[0]), 0, 1)[..., None]
        haze = (haze * haze * (3 - 2 * haze)).astype(np.float32)
        self._contrast = (1 - haze) * (_BRIGHT - _DARK) / 2
        self._backdrop = np.empty((pinhole.height, pinhole.width, 3), np.float32)
        self._backdrop[:top] = _HORIZON + np.clip(rays[:top, :, 2:] * 2.2, 0, 1) * (_ZENITH - _HORIZON)
        self._backdrop[top:] = _HORIZON + (1 - haze) * ((_BRIGHT + _DARK) / 2 - _HORIZON)

    def draw(self, centres: Array, radii: Array, cast: Cast) -> Pixels:
        """Colours (H, W, 3) from 0 to 255.

        Args:
            centres, radii: spheres (G, 3) m, (G,) m around whatever casts a shadow.
            cast: `cast(origin (3,), rays (n, 3))` says which geom each ray meets, -1 for none.
        """
        picture = self._backdrop.copy()
        picture[self._horizon :] += self._contrast * self._checker()[..., None]
        self._darken(picture, centres, radii, cast)
        return picture

    def _checker(self) -> Pixels:
        """-1 on dark tiles, 1 on bright ones (H', W), and a linear passage one pixel wide between them."""
        wave = self._half_tiles + (self._pinhole.eye[:2] / (2 * TILE) % 1.0).astype(np.float32)
        wave -= np.floor(wave)
        wave -= 0.5
        np.abs(wave, out=wave)
        wave -= 0.25  # now the distance from the nearest edge, in units of two tiles
        wave *= self._sharpness
        np.clip(wave, -1, 1, out=wave)
        return wave[..., 0] * wave[..., 1]

    def _darken(self, picture: Pixels, centres: Array, radii: Array, cast: Cast) -> None:
        """Take light from the floor where the sun does not reach it."""
        pinhole = self._pinhole
        sun = LIGHT / np.linalg.norm(LIGHT) * _SUN_DISTANCE + [*pinhole.target[:2], 0.0]
        flat = centres - centres[:, 2:] / LIGHT[2] * LIGHT
        stretched = radii * np.linalg.norm(LIGHT) / LIGHT[2]
        window = pinhole.window(flat, stretched)
        if window is None:
            return
        left, top, right, bottom = window
        top = max(top, self._horizon + 1)
        if bottom <= top:
            return
        rows, columns = np.mgrid[top:bottom:_SHADOW_STEP, left:right:_SHADOW_STEP]
        rays = pinhole.rays(columns, rows).reshape(-1, 3)
        floor = pinhole.eye - rays * (pinhole.eye[2] / rays[:, 2:])
        geom, _ = cast(sun, floor - sun)
        dark = Image.fromarray((255 * (geom >= 0)).astype(np.uint8).reshape(rows.shape))
        dark = dark.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
        dark = dark.filter(ImageFilter.GaussianBlur(pinhole.height / 170))
        share = np.asarray(dark, dtype=np.float32)[..., None] * (_SHADOW / 255)
        picture[top:bottom, left:right] *= 1 - share
