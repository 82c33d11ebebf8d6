"""Terrains: a few numbers and a seed say what the ground looks like, in every engine alike.

Robots begin their episodes around the origin. There, within `clear` of it, every terrain but a slope is level at z = 0.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim.terrains.shapes import BoxShape, Ground, HeightFieldShape, PlaneShape

_DEPTH = 0.5  # m of solid ground below the lowest point that can be stood on
_FOOTPRINT = 0.5  # m, half the length of what a robot of ours stands on


class Terrain(Protocol):
    """A description of ground."""

    def ground(self) -> Ground:
        """The shapes that it is made of; equal descriptions give equal shapes."""
        ...


@dataclass(frozen=True)
class Flat:
    """Level ground at z = 0, without end."""

    def ground(self) -> Ground:
        return Ground(plane=PlaneShape())


@dataclass(frozen=True)
class Slope:
    """A plane through the origin that rises along x by `angle` rad."""

    angle: float

    def __post_init__(self) -> None:
        _require(abs(self.angle) < math.pi / 4, "Slope.angle", "less than pi/4 rad either way", self.angle)

    def ground(self) -> Ground:
        return Ground(plane=PlaneShape((-math.sin(self.angle), 0.0, math.cos(self.angle))))


@dataclass(frozen=True)
class Stairs:
    """Stairs that rise along +x and fall behind the origin along -x; level beyond the last step.

    Attributes:
        rise: m, height of a step.
        run: m, depth of a step.
        steps: in either direction.
        clear: m from the origin to the first step.
        width: m, across.
    """

    rise: float
    run: float = 0.3
    steps: int = 8
    clear: float = 1.0
    width: float = 20.0

    def __post_init__(self) -> None:
        for name in ("rise", "run", "clear", "width"):
            _require(getattr(self, name) > 0.0, f"Stairs.{name}", "above 0", getattr(self, name))
        _require(self.steps >= 1, "Stairs.steps", "at least 1", self.steps)

    def ground(self) -> Ground:
        bottom = -self.steps * self.rise - _DEPTH
        half_width = 0.5 * self.width
        boxes = [_block(-self.clear, self.clear, -half_width, half_width, 0.0, bottom)]
        for step in range(1, self.steps + 1):
            near = self.clear + (step - 1) * self.run
            far = near + (self.run if step < self.steps else max(self.run, half_width))
            boxes.append(_block(near, far, -half_width, half_width, step * self.rise, bottom))
            boxes.append(_block(-far, -near, -half_width, half_width, -step * self.rise, bottom))
        return Ground(boxes=tuple(boxes))


@dataclass(frozen=True)
class Rough:
    """Uneven ground: a height field of seeded waves, level around the origin.

    Attributes:
        amplitude: m; heights lie within +- this.
        seed: of the waves.
        wavelength: m, shortest.
        size: m, edge of the square.
        spacing: m between grid points.
        clear: m from the origin to where the ground begins to rise; it takes as much again to full height.
    """

    amplitude: float
    seed: int = 0
    wavelength: float = 0.8
    size: float = 16.0
    spacing: float = 0.1
    clear: float = 0.5

    def __post_init__(self) -> None:
        _require(self.amplitude >= 0.0, "Rough.amplitude", "at least 0", self.amplitude)
        for name in ("wavelength", "size", "spacing", "clear"):
            _require(getattr(self, name) > 0.0, f"Rough.{name}", "above 0", getattr(self, name))
        _require(self.spacing < self.size, "Rough.spacing", "less than size", self.spacing)
        _require(self.seed >= 0, "Rough.seed", "at least 0", self.seed)

    def ground(self) -> Ground:
        count = round(self.size / self.spacing) + 1
        line = self.spacing * (np.arange(count) - 0.5 * (count - 1))
        x, y = np.meshgrid(line, line)
        generator = np.random.default_rng(self.seed)
        waves = 12
        heading = generator.uniform(0.0, 2.0 * math.pi, waves)
        number = 2.0 * math.pi / (self.wavelength * generator.uniform(1.0, 3.0, waves))  # rad/m
        phase = generator.uniform(0.0, 2.0 * math.pi, waves)
        along = x[..., None] * np.cos(heading) + y[..., None] * np.sin(heading)
        heights = np.sin(number * along + phase).sum(axis=-1)
        heights *= self.amplitude / np.abs(heights).max()
        # A cell that reaches into the clear circle has no corner that rises.
        beyond = np.hypot(x, y) - math.sqrt(2.0) * self.spacing
        heights *= np.clip(beyond / self.clear - 1.0, 0.0, 1.0)
        field = HeightFieldShape(heights, self.spacing, (float(line[0]), float(line[0])))
        return Ground(fields=(field,))


@dataclass(frozen=True)
class Boxes:
    """Level ground strewn with seeded boxes, as a field of kerbs and planks.

    Attributes:
        max_height: m; each box is between a fifth of this and all of it high.
        seed: of places and sizes.
        count: boxes.
        edge: m, longest half edge; the shortest is a quarter of it.
        size: m, edge of the square that is strewn.
        clear: m around the origin that stays free.
    """

    max_height: float
    seed: int = 0
    count: int = 60
    edge: float = 0.4
    size: float = 12.0
    clear: float = 1.0

    def __post_init__(self) -> None:
        for name in ("max_height", "edge", "size", "clear"):
            _require(getattr(self, name) > 0.0, f"Boxes.{name}", "above 0", getattr(self, name))
        _require(self.count >= 0, "Boxes.count", "at least 0", self.count)
        _require(self.seed >= 0, "Boxes.seed", "at least 0", self.seed)
        room = 0.5 * self.size - self.clear - math.sqrt(2.0) * self.edge
        _require(room > 0.0, "Boxes.size", "more than 2 (clear + sqrt(2) edge)", self.size)

    def ground(self) -> Ground:
        generator = np.random.default_rng(self.seed)
        boxes: list[BoxShape] = []
        while len(boxes) < self.count:
            x, y = generator.uniform(-0.5 * self.size, 0.5 * self.size, 2)
            half_x, half_y = generator.uniform(0.25 * self.edge, self.edge, 2)
            top = generator.uniform(0.2, 1.0) * self.max_height
            if math.hypot(x, y) - math.hypot(half_x, half_y) >= self.clear:
                boxes.append(_block(x - half_x, x + half_x, y - half_y, y + half_y, top, -_DEPTH))
        return Ground(plane=PlaneShape(), boxes=tuple(boxes))


FLAT = Flat()


def spawn_height(terrain: Terrain) -> float:
    """Height of the highest ground under a robot that stands at the origin, whichever way it faces, m."""
    return float(ground_under(terrain.ground(), np.zeros((1, 2)))[0])


def ground_under(ground: Ground, places: np.ndarray) -> np.ndarray:
    """Height of the highest ground under robots at `places` (n, 2) m, (n,) m; -inf where some of it is missing."""
    line = np.linspace(-_FOOTPRINT, _FOOTPRINT, 41)
    x, y = np.meshgrid(line, line)
    inside = np.hypot(x, y) <= _FOOTPRINT
    heights = ground.height(places[:, :1] + x[inside], places[:, 1:] + y[inside])
    return np.where(np.isneginf(heights).any(axis=1), -np.inf, heights.max(axis=1))


def _block(x_low: float, x_high: float, y_low: float, y_high: float, top: float, bottom: float) -> BoxShape:
    return BoxShape(
        (0.5 * (x_low + x_high), 0.5 * (y_low + y_high), 0.5 * (top + bottom)),
        (0.5 * (x_high - x_low), 0.5 * (y_high - y_low), 0.5 * (top - bottom)),
    )


def _require(holds: bool, field: str, what: str, given: float) -> None:
    if not (holds and math.isfinite(given)):
        raise ValueError(f"{field}: must be {what}, got {given}")
