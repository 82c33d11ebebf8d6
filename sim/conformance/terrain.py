"""Laws of terrain: the ground of every engine is as high as `sim.terrains` says, felt with a ball.

A ball that touches is stopped or turned aside within a physics step, one that does not falls freely. So the height at
which it just touches is found by halving, at points all over the ground, and compared with that of a ball on
`Ground.height`.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from sim.conformance.bench import GRAVITY, Setup, hold, place, read
from sim.conformance.law import Law, Measurement, law, worst
from sim.conformance.robots import BALL, BALL_RADIUS
from sim.engines.engine import Engine
from sim.terrains import FLAT, Boxes, Rough, Slope, Stairs, Terrain
from sim.terrains.shapes import Ground

Array = NDArray[np.float64]

TERRAINS: dict[str, Terrain] = {
    "Flat": FLAT,
    "Slope": Slope(0.3),
    "Stairs": Stairs(rise=0.12, run=0.35, steps=3, clear=0.6),
    "Rough": Rough(amplitude=0.15, seed=3, wavelength=0.6, size=6.0),
    "Boxes": Boxes(max_height=0.15, seed=4, size=5.0),
}
_ROUNDS = 2  # each with a point an environment
_REACH = 2.0  # m from the origin
_SEARCH = 0.02  # m above and below the height that is expected
_HALVINGS = 9


def touching_height(ground: Ground, x: Array, y: Array, radius: float) -> Array:
    """Z of the centres of balls that just touch the ground at (x, y), (n,) m."""
    highest = np.full(x.shape, -np.inf)
    if ground.plane is not None:
        highest = ground.plane.height(x, y) + radius / ground.plane.normal[2]
    for box in ground.boxes:
        beside = np.hypot(
            np.maximum(np.abs(x - box.centre[0]) - box.half_size[0], 0.0),
            np.maximum(np.abs(y - box.centre[1]) - box.half_size[1], 0.0),
        )
        above = box.top + np.sqrt(np.maximum(radius**2 - beside**2, 0.0))
        highest = np.maximum(highest, np.where(beside < radius, above, -np.inf))
    # No formula for a field: the highest over a grid of points under the ball.
    line = np.linspace(-radius, radius, 201)
    dx, dy = (part.ravel() for part in np.meshgrid(line, line))
    cap = np.sqrt(np.maximum(radius**2 - dx**2 - dy**2, 0.0))
    for field in ground.fields:
        under = field.height(x[:, None] + dx, y[:, None] + dy)
        highest = np.maximum(highest, np.where(dx**2 + dy**2 < radius**2, under + cap, -np.inf).max(axis=1))
    return highest


def _terrain_law(name: str, terrain: Terrain) -> Law:
    def measure(engine: Engine) -> Measurement:
        points = np.random.default_rng(0).uniform(-_REACH, _REACH, (_ROUNDS, 2, engine.num_envs))
        return Measurement(
            deviation=worst(*(_off(engine, terrain.ground(), x, y) for x, y in points)),
            tolerance=1e-3,
            unit="m",
            reason="half of the last halving, 0.04 mm; and the margin by which edges are rounded, 1 mm in Bullet",
        )

    measure.__name__ = f"terrain_{name.lower()}"
    measure.__doc__ = f"`{name}` is as high in the engine as its description says."
    return law(Setup(BALL, num_envs=8, decimation=1, terrain=terrain))(measure)


def _off(engine: Engine, ground: Ground, x: Array, y: Array) -> Array:
    """How much higher balls of an engine touch than they should at (x, y), all (N,) m."""
    expected = touching_height(ground, x, y, BALL_RADIUS)
    low, high = expected - _SEARCH, expected + _SEARCH
    fall = GRAVITY * engine.physics_dt
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        place(engine, root_pos=np.stack([x, y, middle], axis=1))
        engine.step(hold(engine))
        hindered = read(engine.state.root_lin_vel) + torch.tensor([0.0, 0.0, fall], dtype=torch.float64)
        free = (hindered.norm(dim=1) < 0.05 * fall).numpy()
        low, high = np.where(free, low, middle), np.where(free, middle, high)
    return 0.5 * (low + high) - expected


LAWS: tuple[Law, ...] = tuple(_terrain_law(name, terrain) for name, terrain in TERRAINS.items())
