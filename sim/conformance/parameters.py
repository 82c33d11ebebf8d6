"""Laws of randomised parameters: each changes what it names by the right amount, per environment, and nothing else.

Parameters of joints are judged on the rig by the whole motion that follows from them, `motion`. Those of the base are
judged by weight, by flight and by how a block slides, each under changes of the others, too; and in `loads`.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from sim.conformance import loads
from sim.conformance.bench import GRAVITY, advance, hold, place, read, set_parameters
from sim.conformance.contact import CREEP, CREEP_REASON, ON_SCALES, STEEP, on_a_slope
from sim.conformance.joints import MOTOR, ON_THE_RIG, SLIDER, compare_torque
from sim.conformance.law import Law, Measurement, law, worst
from sim.conformance.measures import compare_flight, compare_slide, compare_weight
from sim.conformance.rigid_body import IN_THE_AIR
from sim.conformance.robots import BLOCK_FRICTION, RIG, RIG_INERTIA, RIG_WEIGHT
from sim.conformance.settings import ON_BASES, ON_JOINTS, Settings, set_all_but
from sim.engines.engine import Engine

Array = NDArray[np.float64]

_MOTOR_PARAMETERS = ("motor_strength", "kp_factor", "kd_factor")
# What each of these depends on, parameters that are judged elsewhere included.
_WEIGHT = ("payload_mass", "base_mass_factor", "link_mass_factor", "gravity_offset", "base_force", "base_torque")
_FLIGHT = (
    "base_com", "payload_pos", "base_mass_factor", "link_mass_factor", "base_shear", "gravity_offset", "base_force",
    "base_torque",
)  # fmt: skip
_SLIDE = ("friction", "foot_friction_factor", "gravity_offset", "base_force", "base_torque")


def _on_the_rig(name: str, what: str) -> Law:
    def measure(engine: Engine) -> Measurement:
        return _compare_motion(engine, {name: ON_JOINTS[name]})

    measure.__name__ = name
    measure.__doc__ = f"`{name}` changes {what}, joint by joint, and a joint moves as then follows."
    return law(ON_THE_RIG, name)(measure)


_JOINT_LAWS = tuple(
    _on_the_rig(name, what)
    for name, what in {
        "motor_strength": "the torque of a motor in proportion, the limit included",
        "battery_sag": "the torque limits of all motors",
        "kp_factor": "the position gain in proportion",
        "kd_factor": "the velocity gain in proportion",
        "joint_friction": "the Coulomb friction of a joint",
        "joint_damping": "the viscous friction of a joint",
        "joint_armature": "the inertia of a joint",
        "link_mass_factor": "mass and inertia of the link that a joint moves",
    }.items()
)


@law(ON_THE_RIG, *_MOTOR_PARAMETERS)
def motor_torque(engine: Engine) -> Measurement:
    """The reported torque is s clip(f kp (target - q) - g kd q') for motor strength s and factors f, g on the gains."""
    return compare_torque(engine, {name: ON_JOINTS[name] for name in _MOTOR_PARAMETERS})


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
    payload = ON_BASES["payload_mass"]
    set_parameters(engine, {"payload_mass": payload})
    return compare_weight(engine, payload[:, 0])


@law(IN_THE_AIR, "base_com")
def base_com(engine: Engine) -> Measurement:
    """A shift of the base's centre of mass moves the point about which the body spins in flight, by m_base / m."""
    set_parameters(engine, {"base_com": ON_BASES["base_com"]})
    return compare_flight(engine, ON_BASES["base_com"], torch.zeros(4, 1))


@law(on_a_slope(STEEP), "friction")
def friction(engine: Engine) -> Measurement:
    """A block of friction mu slides down with g (sin(a) - mu cos(a)), or sticks where that is negative."""
    set_parameters(engine, {"friction": ON_BASES["friction"]})
    return compare_slide(engine, ON_BASES["friction"][:, 0])


@law(ON_SCALES, contact_force=True)
def weight_alone(engine: Engine) -> Measurement:
    """No parameter but the payload changes the weight."""
    set_all_but(engine, *_WEIGHT)
    return compare_weight(engine, torch.zeros(4))


@law(IN_THE_AIR)
def flight_alone(engine: Engine) -> Measurement:
    """No parameter but those of the base's mass changes the flight: the body spins about the centre of all mass."""
    set_all_but(engine, *_FLIGHT)
    has_payload = "payload_mass" in engine.capabilities.parameters
    payload = ON_BASES["payload_mass"] if has_payload else torch.zeros(4, 1)
    return compare_flight(engine, torch.zeros(4, 3), payload)


@law(on_a_slope(STEEP))
def slide_alone(engine: Engine) -> Measurement:
    """No parameter but the friction changes how a block slides, its mass neither."""
    set_all_but(engine, *_SLIDE)
    return compare_slide(engine, torch.full((4,), BLOCK_FRICTION))


@law(ON_THE_RIG)
def joints_alone(engine: Engine) -> Measurement:
    """No parameter of the base changes how joints move."""
    set_all_but(engine, *ON_JOINTS, "gravity_offset")
    return _compare_motion(engine, {})


def motion(values: Settings, q: Array, v: Array, target: Array, times: NDArray[np.floating]) -> Array:
    """How the rig's joints move, (N, T, J), by steps of 0.1 ms.

    (h I + armature) q'' = strength clip(f kp (target - q) - g kd q', (1 - sag) limit) - damping q' - h g w sin(q)
        - friction sign(q'), with factors f and g on the gains and h on the mass of the link.

    Args:
        values: parameters by name, each (N, J) or (N, 1); nominal where there is none.
        q: (J,) start. v: (J,) start. target: (J,).
        times: (T,) s, ascending, at which q is given.
    """
    given = {name: value.double().numpy() for name, value in values.items()}
    strength, f, g, heavier = (
        given.get(name, np.ones((4, 4))) for name in ("motor_strength", "kp_factor", "kd_factor", "link_mass_factor")
    )
    friction, damping, armature = (
        given.get(name, np.zeros((4, 4))) for name in ("joint_friction", "joint_damping", "joint_armature")
    )
    kp, kd, limit = RIG.kp, RIG.kd, RIG.joint_effort_limit * (1.0 - given.get("battery_sag", np.zeros((4, 1))))
    inertia = heavier * np.array(RIG_INERTIA) + armature
    weight = GRAVITY * heavier * np.array(RIG_WEIGHT)
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
JUDGES = {one.name: one for one in (*LAWS, *loads.LAWS) if one.name in {*ON_JOINTS, *ON_BASES}}
