"""Laws of joints: the servo against its analytic response, torque, limits, order, and what a fixed base does.

On the rig each joint moves alone: I q'' = torque - g w sin(q), with `RIG_INERTIA` I and `RIG_WEIGHT` w.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sim.conformance.bench import GRAVITY, Setup, advance, hold, place, read, set_parameters
from sim.conformance.law import Law, Measurement, law, resolution, worst
from sim.conformance.robots import (
    LINKS,
    RIG,
    RIG_INERTIA,
    RIG_POS,
    RIG_QUAT,
    RIG_WEIGHT,
    SHOULDER,
    TWO_ARMS,
)
from sim.engines.engine import Engine

ON_THE_RIG = Setup(RIG, num_envs=4)
ON_THE_ARMS = Setup(TWO_ARMS, num_envs=4)
STOP_TOLERANCE = 0.02  # rad
STOP_REASON = "stops are springs: MuJoCo's default ones yield 0.01 rad to 4 N m on a forearm"
MOTOR, _WHEEL, _PENDULUM, SLIDER = range(4)


@law(ON_THE_RIG)
def step_response(engine: Engine) -> Measurement:
    """A servo answers a step as the damped oscillator I q'' + kd q' + kp (q - target) = 0.

    q / target = 1 - exp(-a t) (cos(w t) + a / w sin(w t)), a = kd / 2 I, w = sqrt(kp / I - a^2).
    """
    target = torch.tensor([0.1, 0.0, 0.0, 0.1])  # small enough not to saturate
    deviation = tolerance = 0.0
    steps = 80
    path = _record(engine, steps, target)
    dt = engine.physics_dt
    t = engine.decimation * dt * torch.arange(1, steps + 1, dtype=torch.float64)
    for joint in (MOTOR, SLIDER):
        facts, inertia = RIG.joints[joint], RIG_INERTIA[joint]
        decay = facts.kd / (2.0 * inertia)
        rate = math.sqrt(facts.kp / inertia - decay**2)
        curve = 1.0 - torch.exp(-decay * t) * (torch.cos(rate * t) + decay / rate * torch.sin(rate * t))
        deviation = worst(deviation, path[:, :, joint] / 0.1 - curve)
        tolerance = max(tolerance, dt * math.sqrt(facts.kp / inertia))  # dt times the greatest speed of an undamped one
    return Measurement(
        deviation, tolerance, "1", "a first-order step leads or lags by less than what it moves: dt sqrt(kp/I)"
    )


@law(ON_THE_RIG)
def servo_torque(engine: Engine) -> Measurement:
    """The reported torque is kp (target - q) - kd q', clipped at the effort limit."""
    return compare_torque(engine, {})


@law(ON_THE_RIG)
def saturation(engine: Engine) -> Measurement:
    """However far the target, a joint gets no more than its effort limit: q' = limit t / I."""
    far = torch.tensor([[50.0], [-50.0], [1000.0], [-1000.0]], dtype=torch.float64)
    steps = 20
    advance(engine, steps, far.expand(4, RIG.num_joints))
    t = steps * engine.decimation * engine.physics_dt
    deviation = 0.0
    for joint in (MOTOR, SLIDER):
        expected = far[:, 0].sign() * RIG.joints[joint].effort_limit * t / RIG_INERTIA[joint]
        speed = read(engine.state.joint_vel)[:, joint]
        deviation = worst(deviation, speed / expected - 1.0)
    return Measurement(deviation, 1e-4, "1", "every integrator is exact under a constant torque: float32 alone")


@law(ON_THE_RIG)
def passive(engine: Engine) -> Measurement:
    """A joint without a motor feels no torque, whatever its target: a wheel keeps its speed."""
    place(engine, joint_vel=torch.tensor([0.0, 5.0, 0.0, 0.0]))
    advance(engine, 100, (0.0, -7.0, 3.0, 0.0))
    lost = read(engine.state.joint_vel)[:, _WHEEL] / 5.0 - 1.0
    torque = read(engine.state.joint_torque)[:, [_WHEEL, _PENDULUM]]
    return Measurement(worst(lost, torque), 1e-4, "1, N m", "nothing acts on it: float32 alone")


@law(ON_THE_RIG)
def pendulum_energy(engine: Engine) -> Measurement:
    """A pendulum without friction keeps its energy I q'^2 / 2 - g w cos(q), relative to that of its fall."""
    height = 2.0  # rad
    place(engine, joint_pos=torch.tensor([0.0, 0.0, height, 0.0]))
    inertia, weight = RIG_INERTIA[_PENDULUM], GRAVITY * RIG_WEIGHT[_PENDULUM]
    energies, fastest = [], 0.0
    for _ in range(240):
        engine.step(hold(engine))
        q, v = read(engine.state.joint_pos)[:, _PENDULUM], read(engine.state.joint_vel)[:, _PENDULUM]
        energies.append(0.5 * inertia * v**2 - weight * torch.cos(q))
        fastest = max(fastest, v.abs().max().item())
    start, fall = -weight * math.cos(height), weight * (1.0 - math.cos(height))
    deviation = worst((torch.stack(energies) - start) / fall)
    # Half a step between position and velocity: dE = (dt / 2) |q'| g w |sin(q)|, which does not grow.
    return Measurement(
        deviation,
        0.5 * engine.physics_dt * fastest * weight / fall + 1e-4,
        "1",
        "a semi-implicit step keeps an energy that differs by at most dt q' g w / 2, and does not drift; float32",
    )


@law(ON_THE_RIG)
def fixed_base(engine: Engine) -> Measurement:
    """A fixed base stays where its description puts it, whatever a reset asks for and the joints do."""
    place(engine, root_pos=(5.0, 5.0, 5.0), root_quat=(0.0, 1.0, 0.0, 0.0), root_lin_vel=(1.0, 1.0, 1.0))
    advance(engine, 20, (40.0, 0.0, 0.0, 4.0))
    state = engine.state
    quat = read(state.root_quat)
    deviation = worst(
        read(state.root_pos) - torch.tensor(RIG_POS, dtype=torch.float64),
        quat * quat[:, :1].sign() - torch.tensor(RIG_QUAT, dtype=torch.float64),
        read(state.root_lin_vel),
        read(state.root_ang_vel),
    )
    return Measurement(deviation, 1e-6, "m, 1, m/s, rad/s", "a constant, in float32")


@law(ON_THE_RIG)
def trace_times(engine: Engine) -> Measurement:
    """The trace holds the state after each physics step: under a constant torque q' grows by limit dt / I a sample."""
    engine.step(hold(engine, (50.0, 0.0, 0.0, 50.0)))
    n = torch.arange(1, engine.decimation + 1, dtype=torch.float64)
    deviation = 0.0
    for joint in (MOTOR, SLIDER):
        expected = RIG.joints[joint].effort_limit * engine.physics_dt * n / RIG_INERTIA[joint]
        deviation = worst(deviation, read(engine.trace.joint_vel)[:, :, joint] / expected - 1.0)
    return Measurement(deviation, 1e-4, "1", "every integrator is exact under a constant torque: float32 alone")


@law(ON_THE_RIG)
def targets_in_steps(engine: Engine) -> Measurement:
    """Each physics step has a target of its own: after two steps forward and three back, q' = -limit dt / I."""
    targets = hold(engine, (50.0, 0.0, 0.0, 50.0))
    targets[:, 2:] *= -1.0
    engine.step(targets)
    deviation = 0.0
    for joint in (MOTOR, SLIDER):
        expected = -RIG.joints[joint].effort_limit * engine.physics_dt / RIG_INERTIA[joint]
        deviation = worst(deviation, read(engine.state.joint_vel)[:, joint] / expected - 1.0)
    return Measurement(deviation, 1e-4, "1", "every integrator is exact under a constant torque: float32 alone")


@law(ON_THE_ARMS)
def joint_order(engine: Engine) -> Measurement:
    """Each joint that is named moves its own link: a hand is at l1 (cos, sin)(q1) + l2 (cos, sin)(q1 + q2)."""
    offsets = 0.4 * torch.eye(TWO_ARMS.num_joints, dtype=torch.float64)  # environment i moves joint i
    place(engine, joint_pos=offsets)
    placed = read(engine.state.foot_pos) - _hands(read(engine.state.joint_pos))
    advance(engine, 100, -offsets)  # 0.5 s: settled
    driven = read(engine.state.joint_pos) + offsets
    moved = read(engine.state.foot_pos) - _hands(-offsets)
    return Measurement(
        worst(placed, driven, moved),
        2e-3,
        "m, rad",
        "what is left of a step of 0.8 rad after 0.5 s, ten time constants kd / kp",
    )


@law(ON_THE_ARMS)
def foot_velocity(engine: Engine) -> Measurement:
    """The velocity of a foot is that at which its joints carry it: the change of `joint_order`'s formula over dt."""
    pose = torch.tensor([0.3, 0.5, -0.4, 0.8], dtype=torch.float64)
    place(engine, joint_pos=pose, joint_vel=torch.eye(4))
    engine.step(hold(engine, pose))
    path = read(engine.trace.joint_pos)
    hands = torch.stack([_hands(path[:, step]) for step in range(engine.decimation)])
    velocity = hands.diff(dim=0) / engine.physics_dt
    nearest = (read(engine.state.foot_vel) - velocity[-2:]).flatten(2).norm(dim=2).min(dim=0).values
    change = velocity.diff(dim=0).flatten(2).norm(dim=2).max()
    return Measurement(
        deviation=worst(nearest),
        tolerance=0.5 * change.item() + 8 * resolution(1.0) / engine.physics_dt,
        unit="m/s",
        reason="half of what it changes in a physics step; and float32 positions over dt",
    )


@law(ON_THE_ARMS)
def joint_stops(engine: Engine) -> Measurement:
    """A joint that is driven beyond its range stops at the end of it."""
    lower = torch.from_numpy(TWO_ARMS.joint_lower)
    upper = torch.from_numpy(TWO_ARMS.joint_upper)
    target = torch.stack([upper + 0.1, lower - 0.1, upper + 0.1, lower - 0.1])
    advance(engine, 100, target)
    stopped = torch.stack([upper, lower, upper, lower])
    deviation = worst(read(engine.state.joint_pos) - stopped)
    return Measurement(deviation, STOP_TOLERANCE, "rad", STOP_REASON)


@law(ON_THE_ARMS, contact_force=True)
def no_self_collision(engine: Engine) -> Measurement:
    """Links of one robot pass through each other: arms that cross feel nothing of it."""
    crossed = torch.tensor([-0.5, -0.3, 0.5, 0.3])
    place(engine, joint_pos=crossed)
    advance(engine, 20, crossed)
    moved = read(engine.state.joint_pos) - crossed
    return Measurement(worst(moved, read(engine.state.contact_force)), 1e-5, "rad, N", "float32")


def compare_torque(engine: Engine, values: Mapping[str, Tensor]) -> Measurement:
    """Reported torque against strength clip(f kp (target - q) - g kd q', limit), some of it within the limits.

    Args:
        values: motor_strength, kp_factor f and kd_factor g, (N, J) each; 1 where they are not given.
    """
    set_parameters(engine, values)
    nominal = torch.ones(engine.num_envs, RIG.num_joints)
    strength, f, g = (values.get(name, nominal)[:, None] for name in ("motor_strength", "kp_factor", "kd_factor"))
    kp, kd, limit = (torch.from_numpy(value) for value in (RIG.kp, RIG.kd, RIG.joint_effort_limit))
    offset = torch.tensor([[0.1], [-0.12], [3.0], [-3.0]]).expand(4, RIG.num_joints)
    speed = torch.tensor([[0.5], [-1.0], [0.0], [1.0]]).expand(4, RIG.num_joints)
    place(engine, joint_vel=speed)
    engine.step(hold(engine, offset))
    q, v = read(engine.trace.joint_pos)[:, -2:], read(engine.trace.joint_vel)[:, -2:]  # before and after the last step
    asked = f * kp * (offset.double()[:, None] - q) - g * kd * v
    torque = strength * asked.clamp(-limit, limit)
    reported = read(engine.state.joint_torque)
    outside = torch.maximum(reported - torque.amax(dim=1), torque.amin(dim=1) - reported).clamp(min=0.0)
    deviation = worst((outside / limit)[:, [MOTOR, SLIDER]])
    return Measurement(
        deviation, 1e-4, "1", "relative to the limit, beyond what the torque is before and after the last step: float32"
    )


def _record(engine: Engine, steps: int, target: Tensor) -> Tensor:
    """Joint positions (N, steps, J) at the end of each control step."""
    targets, path = hold(engine, target), []
    for _ in range(steps):
        engine.step(targets)
        path.append(read(engine.state.joint_pos))
    return torch.stack(path, dim=1)


def _hands(q: Tensor) -> Tensor:
    """Centres of both hands (N, 2, 3) m for joint positions (N, 4)."""
    hands = []
    for side, (shoulder, elbow) in enumerate(((0, 1), (2, 3))):
        first, both = q[:, shoulder], q[:, shoulder] + q[:, elbow]
        x = LINKS[0] * torch.cos(first) + LINKS[1] * torch.cos(both)
        y = LINKS[0] * torch.sin(first) + LINKS[1] * torch.sin(both) + (SHOULDER if side == 0 else -SHOULDER)
        hands.append(torch.stack([x, y, torch.ones_like(x)], dim=1))
    return torch.stack(hands, dim=1)


LAWS: tuple[Law, ...] = (
    step_response,
    servo_torque,
    saturation,
    passive,
    trace_times,
    targets_in_steps,
    pendulum_energy,
    fixed_base,
    joint_order,
    foot_velocity,
    joint_stops,
    no_self_collision,
)
