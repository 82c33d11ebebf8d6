"""Laws of parameters that load a body: mass and its place, inertia, gravity, forces, bounces, and stops.

Each is judged by the motion of a free body that follows from it.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from sim.conformance.bench import GRAVITY, Setup, advance, hold, place, read, set_parameters
from sim.conformance.contact import ON_SCALES, STEEP, on_a_slope
from sim.conformance.joints import ON_THE_ARMS, STOP_REASON, STOP_TOLERANCE
from sim.conformance.law import Law, Measurement, law, resolution, worst
from sim.conformance.measures import compare_flight, compare_slide, compare_weight
from sim.conformance.rigid_body import IN_THE_AIR
from sim.conformance.robots import (
    BALL,
    BALL_RADIUS,
    BLOCK_CENTRE,
    BLOCK_FRICTION,
    BLOCK_INERTIA,
    BLOCK_MASSES,
    BLOCK_ROTOR_INERTIA,
    TWO_ARMS,
)
from sim.conformance.settings import ON_BASES, Settings
from sim.engines.engine import Engine

Array = NDArray[np.float64]

_HIGH = (0.0, 0.0, 10.0)  # m
_DROP = Setup(BALL, num_envs=4, decimation=1)
_TORQUE = torch.tensor([[0.04, 0.0, 0.0], [0.03, -0.03, 0.0], [0.0, 0.04, 0.0], [-0.03, 0.02, 0.0]])  # N m


@law(ON_SCALES, "base_mass_factor", contact_force=True)
def base_mass_factor(engine: Engine) -> Measurement:
    """A factor on the mass of the base is one on its weight."""
    factor = ON_BASES["base_mass_factor"]
    set_parameters(engine, {"base_mass_factor": factor})
    return compare_weight(engine, BLOCK_MASSES[0] * (factor[:, 0] - 1.0))


@law(on_a_slope(STEEP), "foot_friction_factor")
def foot_friction_factor(engine: Engine) -> Measurement:
    """A block that stands on a foot of f times its friction mu slides down with g (sin(a) - f mu cos(a)), or sticks."""
    factor = ON_BASES["foot_friction_factor"]
    set_parameters(engine, {"foot_friction_factor": factor})
    return compare_slide(engine, BLOCK_FRICTION * factor[:, 0])


@law(IN_THE_AIR, "payload_mass", "payload_pos")
def payload_pos(engine: Engine) -> Measurement:
    """A payload draws the point about which a body spins in flight towards where it is."""
    where = torch.tensor([[0.05, 0.0, 0.0], [0.05, -0.04, 0.0], [0.03, 0.0, -0.02], [-0.06, 0.02, 0.0]])
    payload = torch.tensor([[0.5], [1.0], [0.8], [2.0]])
    set_parameters(engine, {"payload_mass": payload, "payload_pos": where})
    return compare_flight(engine, payload / (BLOCK_MASSES[0] + payload) * where, payload)


@law(IN_THE_AIR, "base_torque")
def base_torque(engine: Engine) -> Measurement:
    """Under a torque T on the base a body at rest begins to spin with the acceleration I^-1 T."""
    return _compare_spin_up(engine, {})


@law(IN_THE_AIR, "base_torque", "base_stretch")
def base_stretch(engine: Engine) -> Measurement:
    """Mass that is stretched by exp(d) along the axes of the base has exp(2 d) times its second moments along them."""
    return _compare_spin_up(engine, {"base_stretch": ON_BASES["base_stretch"]})


@law(IN_THE_AIR, "base_torque", "base_shear")
def base_shear(engine: Engine) -> Measurement:
    """Mass that is sheared by U, 1 on its diagonal, has the second moments U S U^T: a torque turns it askew."""
    return _compare_spin_up(engine, {"base_shear": ON_BASES["base_shear"]})


@law(IN_THE_AIR, "base_torque", "base_mass_factor", "base_stretch", "base_shear", "payload_mass", "payload_pos")
def base_inertia(engine: Engine) -> Measurement:
    """Factor, stretch, shear and payload together make the inertia that follows from them in that order."""
    settings = {name: ON_BASES[name] for name in ("base_mass_factor", "base_stretch", "base_shear")}
    payload = torch.tensor([[0.5], [1.0], [0.8], [2.0]])
    where = torch.tensor([[0.0, 0.0, 0.1], [0.05, -0.04, 0.05], [0.03, 0.1, -0.02], [-0.06, 0.02, 0.07]])
    return _compare_spin_up(engine, {**settings, "payload_mass": payload, "payload_pos": where})


@law(IN_THE_AIR, "base_force")
def base_force(engine: Engine) -> Measurement:
    """Under a force F on the base a body of mass m falls with the acceleration g + F / m."""
    force = ON_BASES["base_force"]
    set_parameters(engine, {"base_force": force})
    place(engine, root_pos=_HIGH)
    steps = 20
    advance(engine, steps)
    t = steps * engine.decimation * engine.physics_dt
    gravity = torch.tensor([0.0, 0.0, -GRAVITY], dtype=torch.float64)
    gained = force.double() / sum(BLOCK_MASSES) * t
    deviation = worst(read(engine.state.root_lin_vel) - gravity * t - gained)
    return Measurement(
        deviation,
        0.01 * gained.norm(dim=1).max().item(),
        "m/s",
        "1 % of what it gains: the force acts 1 mm beside the centre of all mass, and the body begins to turn",
    )


@law(IN_THE_AIR, "gravity_offset")
def gravity_offset(engine: Engine) -> Measurement:
    """A body that is let go falls by (g + o) t^2 / 2 where o is added to gravity."""
    offset = ON_BASES["gravity_offset"].double()
    set_parameters(engine, {"gravity_offset": offset.float()})
    place(engine, root_pos=_HIGH)
    steps, dt = 60, engine.physics_dt
    advance(engine, steps)
    t = steps * engine.decimation * dt
    acceleration = offset + torch.tensor([0.0, 0.0, -GRAVITY], dtype=torch.float64)
    expected = torch.tensor(_HIGH, dtype=torch.float64) + 0.5 * acceleration * t**2
    return Measurement(
        deviation=worst(read(engine.state.root_pos) - expected),
        tolerance=0.5 * (GRAVITY + 1.0) * dt * t * 1.01 + steps * engine.decimation * resolution(10.0),
        unit="m",
        reason="velocity first, then position: a semi-implicit step falls g dt t / 2 too far; and float32 at 10 m",
    )


@law(ON_THE_ARMS, "joint_stop_margin")
def joint_stop_margin(engine: Engine) -> Measurement:
    """The stops of a joint come earlier by the margin, at both ends."""
    margin = 0.1 * torch.arange(4.0)[:, None] + 0.05 * torch.arange(TWO_ARMS.num_joints)
    set_parameters(engine, {"joint_stop_margin": margin})
    lower, upper = torch.from_numpy(TWO_ARMS.joint_lower) + margin, torch.from_numpy(TWO_ARMS.joint_upper) - margin
    at_upper = torch.tensor([[True], [False], [True], [False]])
    advance(engine, 100, torch.where(at_upper, upper + 0.1, lower - 0.1))
    deviation = worst(read(engine.state.joint_pos) - torch.where(at_upper, upper, lower))
    return Measurement(deviation, STOP_TOLERANCE, "rad", STOP_REASON)


@law(_DROP, "restitution")
def restitution(engine: Engine) -> Measurement:
    """A ball that falls on the ground at speed v leaves it at e v."""
    e = ON_BASES["restitution"]
    set_parameters(engine, {"restitution": e})
    height = 0.5  # m
    place(engine, root_pos=(0.0, 0.0, BALL_RADIUS + height))
    before, dt = math.sqrt(2.0 * GRAVITY * height), engine.physics_dt
    rising = torch.zeros(4, dtype=torch.float64)
    for _ in range(round(1.2 * before / GRAVITY / dt)):
        engine.step(hold(engine))
        rising = torch.maximum(rising, read(engine.state.root_lin_vel)[:, 2])
    return Measurement(
        deviation=worst(rising - e[:, 0].double() * before),
        tolerance=0.05 * before,
        unit="m/s",
        reason="5 % of the speed: the ball sinks in by what it falls in a step, and is pushed out of the ground",
    )


def _compare_spin_up(engine: Engine, values: Settings) -> Measurement:
    """Blocks at rest in the air that a torque sets spinning for a moment too short for gyroscopic effects."""
    set_parameters(engine, {**values, "base_torque": _TORQUE})
    place(engine, root_pos=_HIGH)
    steps = 10
    advance(engine, steps)
    t = steps * engine.decimation * engine.physics_dt
    given = {name: value.double().numpy() for name, value in values.items()}
    rows = [{name: value[i] for name, value in given.items()} for i in range(4)]
    spins = [
        np.linalg.solve(_inertia(row), torque.double().numpy() * t) for row, torque in zip(rows, _TORQUE, strict=True)
    ]
    expected = torch.from_numpy(np.stack(spins))
    return Measurement(
        deviation=worst((read(engine.state.root_ang_vel) - expected).norm(dim=1) / expected.norm(dim=1)),
        tolerance=0.01,
        unit="1",
        reason="relative; the rotor inside turns with the block about its own axis only as its servo pulls it along",
    )


def _inertia(values: dict[str, Array]) -> Array:
    """(3, 3) kg m^2 of the whole block about its centre of mass."""
    moments = 0.5 * sum(BLOCK_INERTIA) * np.eye(3) - np.diag(BLOCK_INERTIA)
    change = np.diag(np.exp(values.get("base_stretch", np.zeros(3))))
    change[np.triu_indices(3, 1)] = values.get("base_shear", np.zeros(3))
    factor = values.get("base_mass_factor", np.ones(1))[0]
    centre = np.array(BLOCK_CENTRE)
    parts = [
        (factor * BLOCK_MASSES[0], centre, factor * change @ moments @ change.T),
        (values.get("payload_mass", np.zeros(1))[0], centre + values.get("payload_pos", np.zeros(3)), np.zeros((3, 3))),
        (BLOCK_MASSES[1], np.zeros(3), 0.5 * sum(BLOCK_ROTOR_INERTIA) * np.eye(3) - np.diag(BLOCK_ROTOR_INERTIA)),
    ]
    middle = sum(mass * at for mass, at, _ in parts) / sum(mass for mass, _, _ in parts)
    about = sum(own + mass * np.outer(at - middle, at - middle) for mass, at, own in parts)
    result: Array = np.trace(about) * np.eye(3) - about
    return result


LAWS: tuple[Law, ...] = (
    base_mass_factor,
    foot_friction_factor,
    payload_pos,
    base_torque,
    base_stretch,
    base_shear,
    base_inertia,
    base_force,
    gravity_offset,
    joint_stop_margin,
    restitution,
)
