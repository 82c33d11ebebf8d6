"""Laws of contact: weight, and Coulomb friction on a slope of angle a.

A block sticks while tan(a) < mu; steeper, it slides with g (sin(a) - mu cos(a)).
"""

import math
from xml.etree import ElementTree

import torch
from torch import Tensor

from contract.robot import Robot
from sim.conformance.bench import GRAVITY, Setup, advance, hold, place, read
from sim.conformance.law import Law, Measurement, law, worst
from sim.conformance.robots import BLOCK, BLOCK_FRICTION, BLOCK_SIZE, QUADRUPED
from sim.engines.engine import Engine
from sim.terrains import Slope

STEEP = math.atan(1.3 * BLOCK_FRICTION)  # rad
_GENTLE = math.atan(0.8 * BLOCK_FRICTION)
_STANDING = Setup(QUADRUPED, num_envs=4, physics_dt=0.005, decimation=4)
ON_THE_FLOOR = Setup(BLOCK, num_envs=4)
ON_SCALES = Setup(BLOCK, num_envs=4, decimation=1)  # so that every physics step is weighed


def on_a_slope(angle: float) -> Setup:
    """Blocks on a slope, angle in rad."""
    return Setup(BLOCK, num_envs=4, terrain=Slope(angle))


@law(_STANDING, contact_force=True)
def weight(engine: Engine) -> Measurement:
    """The contact forces on a standing robot add up to its weight."""
    advance(engine, 75)
    total = mean_contact(engine, 10)
    return Measurement(
        deviation=worst(total / (GRAVITY * mass_of(QUADRUPED)) - 1.0),
        tolerance=0.01,
        unit="1",
        reason="1.5 s after it was set down a robot still breathes on its soft legs and contacts",
    )


@law(_STANDING, contact_force=True)
def contact_columns(engine: Engine) -> Measurement:
    """A contact is reported in the column of the geom that touches: a robot tilted to one foot, foot by foot."""
    tilt = 0.25
    signs = torch.tensor([[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])  # roll, pitch to FL, FR, RL, RR
    quat = torch.cat([torch.ones(4, 1), 0.5 * tilt * signs, torch.zeros(4, 1)], dim=1)
    quat = quat / quat.norm(dim=1, keepdim=True)
    place(engine, root_pos=(0.0, 0.0, 1.0), root_quat=quat)
    gap = read(engine.state.foot_pos)[:, :, 2].min(dim=1).values - QUADRUPED.feet[0].radius
    place(engine, root_pos=torch.stack([0.0 * gap, 0.0 * gap, 1.0 - gap - 0.002], dim=1), root_quat=quat)
    engine.step(hold(engine))
    touching = read(engine.state.contact_force) > 0.0
    expected = torch.zeros_like(touching)
    expected[torch.arange(4), torch.tensor(engine.foot_columns)] = True
    return Measurement((touching != expected).sum().item(), 0.0, "1", "none: a count of wrong columns")


@law(on_a_slope(_GENTLE))
def friction_sticks(engine: Engine) -> Measurement:
    """On a slope of less than atan(mu) a block stays where it is."""
    _set_on_slope(engine, _GENTLE)
    advance(engine, 100)
    creep = worst(slope_speed(engine, _GENTLE))
    return Measurement(creep, CREEP * GRAVITY * math.sin(_GENTLE), "m/s", CREEP_REASON)


@law(on_a_slope(STEEP))
def friction_slips(engine: Engine) -> Measurement:
    """On a slope of more than atan(mu) a block slides down with g (sin(a) - mu cos(a))."""
    acceleration = slide(engine, STEEP)
    expected = GRAVITY * (math.sin(STEEP) - BLOCK_FRICTION * math.cos(STEEP))
    return Measurement(worst(acceleration - expected), SLIDE_TOLERANCE, "m/s^2", SLIDE_REASON)


@law(ON_THE_FLOOR)
def friction_direction(engine: Engine) -> Measurement:
    """Friction is the same in every direction: a block thrown over a floor loses mu g t, whichever way."""
    angles = torch.tensor([0.0, 30.0, 45.0, 90.0]).deg2rad()
    heading = torch.stack([angles.cos(), angles.sin(), torch.zeros(4)], dim=1)
    place(engine, root_lin_vel=2.0 * heading)
    advance(engine, 20)
    before = (read(engine.state.root_lin_vel) * heading).sum(dim=1)
    steps = 20
    advance(engine, steps)
    lost = before - (read(engine.state.root_lin_vel) * heading).sum(dim=1)
    expected = BLOCK_FRICTION * GRAVITY * steps * engine.decimation * engine.physics_dt
    return Measurement(
        deviation=worst(lost / expected - 1.0),
        tolerance=math.sqrt(2.0) - 1.0,
        unit="1",
        reason="solvers make a pyramid of the cone: along its diagonals friction is off by up to sqrt(2)",
    )


CREEP = 1.1e-3  # s
CREEP_REASON = (
    "soft friction creeps: in MuJoCo at (1 - d) / (d b) of the acceleration that it holds back, which is 1.1 ms of it "
    "with the default impedance d = 0.9 and damping b = 2 / (0.95 * 0.02 s)"
)
SLIDE_TIME = 0.6  # s
SLIDE_TOLERANCE = 0.02  # m/s^2
SLIDE_REASON = (
    "0.2 percent of g: soft contacts take milliseconds to bear a block that is set down, on which it slips at 10 mm/s; "
    "and a first-order step, a dt / t"
)


def slide(engine: Engine, angle: float) -> Tensor:
    """Acceleration down the slope (N,) m/s^2 of blocks that are let go on it, from the distance a t^2 / 2.

    Distance is steadier than speed: on soft contacts a block that slides trembles.
    """
    _set_on_slope(engine, angle)
    start = read(engine.state.root_pos)
    advance(engine, round(SLIDE_TIME / (engine.decimation * engine.physics_dt)))
    return 2.0 * (read(engine.state.root_pos) - start) @ _down(angle) / SLIDE_TIME**2


def slope_speed(engine: Engine, angle: float) -> Tensor:
    """Speed down the slope (N,) m/s."""
    return read(engine.state.root_lin_vel) @ _down(angle)


def mean_contact(engine: Engine, steps: int) -> Tensor:
    """Sum of the contact forces (N,) in N, averaged over some control steps."""
    total = torch.zeros(engine.num_envs, dtype=torch.float64)
    for _ in range(steps):
        engine.step(hold(engine))
        total += read(engine.state.contact_force).sum(dim=1)
    return total / steps


def mass_of(robot: Robot) -> float:
    """kg, from the inertials of its MJCF, which all its bodies have."""
    return sum(float(inertial.attrib["mass"]) for inertial in ElementTree.parse(robot.mjcf).iter("inertial"))


def _down(angle: float) -> Tensor:
    return torch.tensor([-math.cos(angle), 0.0, -math.sin(angle)], dtype=torch.float64)


def _set_on_slope(engine: Engine, angle: float) -> None:
    """Blocks with their face on the slope, which rises along x."""
    height = BLOCK_SIZE[2]
    place(
        engine,
        root_pos=(-height * math.sin(angle), 0.0, height * math.cos(angle)),
        root_quat=(math.cos(0.5 * angle), 0.0, -math.sin(0.5 * angle), 0.0),
    )


LAWS: tuple[Law, ...] = (friction_direction, friction_sticks, friction_slips, weight, contact_columns)
