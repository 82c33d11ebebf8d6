"""Laws of randomised parameters: each changes what it names by the right amount, per environment, and nothing else.

Parameters of joints are judged on the rig by the whole motion that follows from them, `motion`. Those of the base are
judged by weight, by flight and by how a block slides, each under changes of the others, too.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.conformance.bench import GRAVITY, advance, hold, place, read, set_parameters
from sim.conformance.contact import (
    CREEP,
    CREEP_REASON,
    ON_SCALES,
    SLIDE_REASON,
    SLIDE_TIME,
    SLIDE_TOLERANCE,
    STEEP,
    mass_of,
    mean_contact,
    on_a_slope,
    slide,
    slope_speed,
)
from sim.conformance.joints import MOTOR, ON_THE_RIG, SLIDER, compare_torque
from sim.conformance.law import Law, Measurement, law, worst
from sim.conformance.rigid_body import FLIGHT_REASON, IN_THE_AIR, flight, flight_tolerance
from sim.conformance.robots import BLOCK, BLOCK_CENTRE, BLOCK_FRICTION, BLOCK_MASSES, RIG, RIG_INERTIA, RIG_WEIGHT
from sim.engines.engine import Engine

Array = NDArray[np.float64]
Settings = Mapping[str, Tensor]

# One row an environment; row 0 is nominal. Columns: motor, wheel, pendulum, slider.
_FACTORS = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.6, 1.0, 1.0, 1.3], [1.4, 1.0, 1.0, 1.0], [0.8, 1.0, 1.0, 0.7]])
_AMOUNTS = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.5, 1.0, 0.5, 0.5]])
_ON_JOINTS: Settings = {
    "motor_strength": _FACTORS,
    "kp_factor": _FACTORS,
    "kd_factor": 2.0 * _FACTORS - 1.0,
    "joint_friction": _AMOUNTS * torch.tensor([0.4, 0.05, 0.1, 1.5]),  # N m, N
    "joint_damping": _AMOUNTS * torch.tensor([0.3, 0.02, 0.03, 2.0]),  # N m s/rad, N s/m
    "joint_armature": _AMOUNTS * torch.tensor([0.05, 0.01, 0.01, 0.2]),  # kg m^2, kg
}
_MOTOR_PARAMETERS, _PASSIVE_PARAMETERS = tuple(_ON_JOINTS)[:3], tuple(_ON_JOINTS)[3:]
_ON_BASES: Settings = {
    "friction": torch.tensor([[0.5], [0.3], [0.9], [0.7]]),
    "payload_mass": torch.tensor([[0.0], [1.0], [-0.5], [2.0]]),  # kg
    "base_com": torch.tensor([[0.0, 0.0, 0.0], [0.02, -0.03, 0.0], [0.01, 0.0, 0.03], [0.0, 0.03, 0.0]]),  # m
}


def _on_the_rig(name: str, what: str) -> Law:
    def measure(engine: Engine) -> Measurement:
        return _compare_motion(engine, {name: _ON_JOINTS[name]})

    measure.__name__ = name
    measure.__doc__ = f"`{name}` changes {what}, joint by joint, and a joint moves as then follows."
    return law(ON_THE_RIG, name)(measure)


_JOINT_LAWS = tuple(
    _on_the_rig(name, what)
    for name, what in {
        "motor_strength": "the torque of a motor in proportion, the limit included",
        "kp_factor": "the position gain in proportion",
        "kd_factor": "the velocity gain in proportion",
        "joint_friction": "the Coulomb friction of a joint",
        "joint_damping": "the viscous friction of a joint",
        "joint_armature": "the inertia of a joint",
    }.items()
)


@law(ON_THE_RIG, *_MOTOR_PARAMETERS)
def motor_torque(engine: Engine) -> Measurement:
    """The reported torque is s clip(f kp (target - q) - g kd q') for motor strength s and factors f, g on the gains."""
    return compare_torque(engine, {name: _ON_JOINTS[name] for name in _MOTOR_PARAMETERS})


@law(ON_THE_RIG, "joint_friction")
def joint_friction_sticks(engine: Engine) -> Measurement:
    """A joint does not move while the torque on it is less than its friction; without friction it would."""
    friction = torch.tensor([0.4, 0.0, 0.0, 1.5])
    set_parameters(engine, {"joint_friction": friction})
    driven = [MOTOR, SLIDER]
    kp, inertia = torch.from_numpy(RIG.kp)[driven], torch.tensor(RIG_INERTIA)[driven]
    held_back = 0.8 * friction[driven]
    target = torch.zeros(RIG.num_joints, dtype=torch.float64)
    target[driven] = held_back / kp
    steps = 60
    advance(engine, steps, target)
    creep = read(engine.state.joint_pos)[:, driven] / (steps * engine.decimation * engine.physics_dt)
    return Measurement(worst(creep), CREEP * (held_back / inertia).max().item(), "rad/s, m/s", CREEP_REASON)


@law(ON_SCALES, "payload_mass", contact_force=True)
def payload_mass(engine: Engine) -> Measurement:
    """A payload adds its weight."""
    payload = _ON_BASES["payload_mass"]
    set_parameters(engine, {"payload_mass": payload})
    return _compare_weight(engine, payload[:, 0])


@law(IN_THE_AIR, "base_com")
def base_com(engine: Engine) -> Measurement:
    """A shift of the base's centre of mass moves the point about which the body spins in flight, by m_base / m."""
    set_parameters(engine, {"base_com": _ON_BASES["base_com"]})
    return _compare_flight(engine, _ON_BASES["base_com"], torch.zeros(4, 1))


@law(on_a_slope(STEEP), "friction")
def friction(engine: Engine) -> Measurement:
    """A block of friction mu slides down with g (sin(a) - mu cos(a)), or sticks where that is negative."""
    set_parameters(engine, {"friction": _ON_BASES["friction"]})
    return _compare_slide(engine, _ON_BASES["friction"][:, 0])


@law(ON_SCALES, contact_force=True)
def weight_alone(engine: Engine) -> Measurement:
    """No parameter but the payload changes the weight."""
    _set_others(engine, "payload_mass")
    return _compare_weight(engine, torch.zeros(4))


@law(IN_THE_AIR)
def flight_alone(engine: Engine) -> Measurement:
    """No parameter but those of the base's mass changes the flight: the body spins about the centre of all mass."""
    _set_others(engine, "base_com")
    return _compare_flight(engine, torch.zeros(4, 3), _payload(engine))


@law(on_a_slope(STEEP))
def slide_alone(engine: Engine) -> Measurement:
    """No parameter but the friction changes how a block slides, its mass neither."""
    _set_others(engine, "friction")
    return _compare_slide(engine, torch.full((4,), BLOCK_FRICTION))


@law(ON_THE_RIG)
def joints_alone(engine: Engine) -> Measurement:
    """No parameter of the base changes how joints move."""
    _set_others(engine, *_ON_JOINTS)
    return _compare_motion(engine, {})


def motion(values: Settings, q: Array, v: Array, target: Array, times: NDArray[np.floating]) -> Array:
    """How the rig's joints move, (N, T, J), by steps of 0.1 ms.

    (I + armature) q'' = strength clip(f kp (target - q) - g kd q', limit) - damping q' - g w sin(q) - friction sign(q')

    Args:
        values: parameters by name, each (N, J); nominal where there is none.
        q: (J,) start. v: (J,) start. target: (J,).
        times: (T,) s, ascending, at which q is given.
    """
    given = {name: value.double().numpy() for name, value in values.items()}
    strength, f, g = (given.get(name, np.ones((4, 4))) for name in _MOTOR_PARAMETERS)
    friction, damping, armature = (given.get(name, np.zeros((4, 4))) for name in _PASSIVE_PARAMETERS)
    kp, kd, limit = RIG.kp, RIG.kd, RIG.joint_effort_limit
    inertia = np.array(RIG_INERTIA) + armature
    weight = GRAVITY * np.array(RIG_WEIGHT)
    dt = 1e-4
    q, v = np.broadcast_to(q, (4, 4)), np.broadcast_to(v, (4, 4))
    path = []
    for _ in range(round(times[-1] / dt)):
        torque = strength * np.clip(f * kp * (target - q) - g * kd * v, -limit, limit)
        v = v + dt / inertia * (torque - damping * v - weight * np.sin(q))
        v = np.copysign(np.maximum(np.abs(v) - dt / inertia * friction, 0.0), v)  # friction stops, and does not turn
        q = q + dt * v
        path.append(q)
    return np.stack(path, axis=1)[:, np.round(times / dt).astype(int) - 1]


def _compare_motion(engine: Engine, values: Settings) -> Measurement:
    """The rig, its motors driven into their limits, its wheel spinning, its pendulum falling."""
    q, v, target = np.array([0.0, 0.0, 1.0, 0.0]), np.array([0.0, 5.0, 0.0, 0.0]), np.array([0.6, 0.0, 0.0, 0.3])
    set_parameters(engine, values)
    place(engine, joint_pos=q, joint_vel=v)
    steps, dt = 60, engine.physics_dt
    path = []
    for _ in range(steps):
        engine.step(hold(engine, target))
        path.append(read(engine.state.joint_pos))
    expected = motion(values, q, v, target, engine.decimation * dt * np.arange(1, steps + 1))
    travel = np.abs(expected - q).max(axis=(0, 1))
    speed = np.abs(np.diff(expected, axis=1)).max(axis=(0, 1)) / (engine.decimation * dt)
    off = torch.stack(path, dim=1).numpy() - expected
    return Measurement(
        deviation=worst(off / travel),
        tolerance=float((dt * speed / travel).max()),
        unit="1",
        reason="relative to the travel; a first-order step leads or lags by less than what it moves",
    )


def _compare_weight(engine: Engine, payload: Tensor) -> Measurement:
    advance(engine, 200)
    expected = GRAVITY * (mass_of(BLOCK) + payload)
    deviation = worst(mean_contact(engine, 100) / expected - 1.0)
    return Measurement(
        deviation, 0.01, "1", "relative; contacts of a block that rests still tremble: the mean of 0.1 s"
    )


def _compare_flight(engine: Engine, shift: Tensor, payload: Tensor) -> Measurement:
    """Blocks that spin about axes which stay principal ones, for shifts (N, 3) m and payloads (N, 1) kg of the base."""
    height = torch.tensor([0.0, 0.0, 10.0])
    spin = torch.tensor([[0.0, 0.0, 6.0], [0.0, 0.0, 6.0], [0.0, 6.0, 0.0], [0.0, 0.0, -6.0]], dtype=torch.float64)
    still, upright = torch.zeros(4, 3, dtype=torch.float64), torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 4).double()
    place(engine, root_pos=height, root_ang_vel=spin)
    steps, dt = 60, engine.physics_dt
    advance(engine, steps)
    t = steps * engine.decimation * dt
    base, rotor = BLOCK_MASSES
    centre = (base + payload) / (base + payload + rotor) * (torch.tensor(BLOCK_CENTRE) + shift).double()
    expected, _ = flight(height, upright, still, spin, centre, t)
    deviation = worst((read(engine.state.root_pos) - expected).norm(dim=1))
    return Measurement(deviation, flight_tolerance(dt, t, 6.0, centre.norm(dim=1).max().item()), "m", FLIGHT_REASON)


def _compare_slide(engine: Engine, mu: Tensor) -> Measurement:
    expected = (GRAVITY * (math.sin(STEEP) - mu.double() * math.cos(STEEP))).clamp(min=0.0)
    distance = slide(engine, STEEP)
    # A block that should stick may have given way while it was set down, but it has gained no speed.
    found = torch.where(expected > 0.0, distance, slope_speed(engine, STEEP) / SLIDE_TIME)
    deviation = worst(found - expected)
    return Measurement(deviation, SLIDE_TOLERANCE, "m/s^2", SLIDE_REASON)


def _payload(engine: Engine) -> Tensor:
    """What `_set_others` loads the bases with, (N, 1) kg."""
    return _ON_BASES["payload_mass"] if "payload_mass" in engine.capabilities.parameters else torch.zeros(4, 1)


def _set_others(engine: Engine, *but: str) -> None:
    """Change every parameter that the engine has, except for some."""
    joints = engine.robot.num_joints
    for name in sorted(set(engine.capabilities.parameters) - set(but)):
        if name in _ON_BASES:
            set_parameters(engine, {name: _ON_BASES[name]})
        elif name in _ON_JOINTS:
            set_parameters(engine, {name: _ON_JOINTS[name][:, :1].expand(4, joints)})


LAWS: tuple[Law, ...] = (
    *_JOINT_LAWS,
    joint_friction_sticks,
    motor_torque,
    joints_alone,
    base_com,
    flight_alone,
    payload_mass,
    weight_alone,
    friction,
    slide_alone,
)
# The law that judges each parameter.
JUDGES = {one.name: one for one in LAWS if one.name in {*_ON_JOINTS, *_ON_BASES}}
