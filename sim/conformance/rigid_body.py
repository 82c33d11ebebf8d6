"""Laws of one rigid body in flight, and of the frames in which its motion is given.

Tolerances are in powers of the physics step dt: the engines integrate to first order, some semi-implicitly.
"""

import torch
from torch import Tensor

from sim.conformance.bench import GRAVITY, Setup, advance, hold, place, read, rows
from sim.conformance.law import Law, Measurement, law, resolution, worst
from sim.conformance.robots import BLOCK, BLOCK_CENTRE, BLOCK_MASSES
from sim.engines.engine import Engine
from sim.rotations import quat_from_vector, quat_multiply, quat_rotate

IN_THE_AIR = Setup(BLOCK, num_envs=4)
_HEIGHT = 10.0  # m
# Of the mass of the whole block, m, in the frame of its base.
_CENTRE = BLOCK_MASSES[0] / sum(BLOCK_MASSES) * torch.tensor(BLOCK_CENTRE, dtype=torch.float64)

# Roll, pitch and yaw about axes that differ, and none.
_RPY = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.7], [0.3, -0.4, 2.0], [-1.2, 0.5, -0.8]], dtype=torch.float64)
# A spin about each axis of the base, and about none.
_SPIN = torch.tensor([[0.0, 0.0, 6.0], [6.0, 0.0, 0.0], [0.0, -6.0, 0.0], [0.0, 0.0, -6.0]], dtype=torch.float64)
_VELOCITY = torch.tensor([[0.5, -0.3, 1.0], [0.0, 0.0, 0.0], [-1.0, 0.2, 0.3], [0.2, 0.8, 0.0]], dtype=torch.float64)


@law(IN_THE_AIR)
def free_fall(engine: Engine) -> Measurement:
    """A body that is let go falls by g t^2 / 2."""
    place(engine, root_pos=(0.0, 0.0, _HEIGHT))
    steps = 60
    advance(engine, steps)
    dt = engine.physics_dt
    t = steps * engine.decimation * dt
    fallen = _HEIGHT - read(engine.state.root_pos)[:, 2]
    return Measurement(
        deviation=worst(fallen - 0.5 * GRAVITY * t**2),
        tolerance=0.5 * GRAVITY * dt * t * 1.01 + steps * engine.decimation * resolution(_HEIGHT),
        unit="m",
        reason="velocity first, then position: a semi-implicit step falls g dt t / 2 too far; and float32 at 10 m",
    )


@law(IN_THE_AIR)
def orientation(engine: Engine) -> Measurement:
    """Quaternions are (w, x, y, z), world from base, and a body that spins about an axis of its base turns by w t.

    q(t) = q(0) exp(w t / 2), with the spin w in the frame of the base: on the right.
    """
    start = _quat_from_rpy(_RPY)
    place(engine, root_pos=(0.0, 0.0, _HEIGHT), root_quat=start, root_ang_vel=_SPIN)
    placed = _angle_between(read(engine.state.root_quat), start)
    steps = 40
    advance(engine, steps)
    t = steps * engine.decimation * engine.physics_dt
    turned = _angle_between(read(engine.state.root_quat), quat_multiply(start, quat_from_vector(_SPIN * t)))
    drift = (read(engine.state.root_ang_vel) - _SPIN).norm(dim=1) * t
    spin = _SPIN.norm(dim=1).max().item()
    return Measurement(
        deviation=worst(placed, turned, drift),
        tolerance=spin * engine.physics_dt + 1e-3,
        unit="rad",
        reason="the turn of one physics step, and 1 mrad for float32 quaternions, normalised in each step",
    )


@law(IN_THE_AIR)
def frames(engine: Engine) -> Measurement:
    """Root velocity is that of the base's origin, in the world: about the centre of mass, which flies ballistically.

    With the centre of mass at c in the base and R(t) = R(0) exp(w t):
    p(t) = p(0) + R(0) c + (v + R(0) (w x c)) t - g t^2 / 2 - R(t) c.
    """
    start = _quat_from_rpy(_RPY)
    place(engine, root_pos=(0.3, -0.2, _HEIGHT), root_quat=start, root_lin_vel=_VELOCITY, root_ang_vel=_SPIN)
    steps = 60
    advance(engine, steps)
    dt = engine.physics_dt
    t = steps * engine.decimation * dt
    expected, _ = flight(torch.tensor([0.3, -0.2, _HEIGHT]), start, _VELOCITY, _SPIN, _CENTRE, t)
    return Measurement(
        deviation=worst((read(engine.state.root_pos) - expected).norm(dim=1)),
        tolerance=flight_tolerance(dt, t),
        unit="m",
        reason=FLIGHT_REASON,
    )


@law(IN_THE_AIR)
def push(engine: Engine) -> Measurement:
    """A push changes the base's velocity by what was asked at once, linear in the world and angular in the base.

    Before and after, the body is in free flight.
    """
    start = _quat_from_rpy(_RPY)
    place(engine, root_pos=(0.0, 0.0, _HEIGHT), root_quat=start)
    before = read(engine.state.root_lin_vel), read(engine.state.root_ang_vel)
    engine.push(rows(engine), _VELOCITY.float().to(engine.device), _SPIN.float().to(engine.device))
    gained = read(engine.state.root_lin_vel) - before[0], read(engine.state.root_ang_vel) - before[1]
    at_once = worst(gained[0] - _VELOCITY, gained[1] - _SPIN)
    engine.step(hold(engine))
    t = engine.decimation * engine.physics_dt
    _, velocity = flight(torch.zeros(3), start, _VELOCITY, _SPIN, _CENTRE, t)
    later = worst(read(engine.state.root_lin_vel) - velocity, read(engine.state.root_ang_vel) - _SPIN)
    acceleration = _SPIN.norm(dim=1).max().item() ** 2 * _CENTRE.norm().item()
    return Measurement(
        deviation=worst(at_once, later),
        tolerance=acceleration * engine.physics_dt + 10 * resolution(10.0),
        unit="m/s, rad/s",
        reason="centripetal acceleration of the origin over one physics step; and float32",
    )


def flight(
    pos: Tensor, quat: Tensor, lin_vel: Tensor, ang_vel: Tensor, centre: Tensor, t: float
) -> tuple[Tensor, Tensor]:
    """Position and velocity of the origin (N, 3) of bodies that spin about a principal axis, after `t` s.

    Args:
        pos: (N, 3) m at the start. quat: (N, 4). lin_vel: (N, 3) m/s of the origin.
        ang_vel: (N, 3) rad/s, base frame.
        centre: (N, 3) m, centre of mass in the base frame.
        t: s.
    """
    pos, centre = pos.double(), centre.double().expand_as(ang_vel)
    lever = torch.linalg.cross(ang_vel, centre)
    drift = lin_vel + quat_rotate(quat, lever)
    fall = torch.tensor([0.0, 0.0, -GRAVITY], dtype=torch.float64)
    turned = quat_multiply(quat, quat_from_vector(ang_vel * t))
    mass_centre = pos + quat_rotate(quat, centre) + drift * t + 0.5 * fall * t**2
    return mass_centre - quat_rotate(turned, centre), drift + fall * t - quat_rotate(turned, lever)


def flight_tolerance(dt: float, t: float, spin: float = 6.0, lever: float = 0.02) -> float:
    """How far first-order steps part from `flight`, m, for a spin in rad/s about a centre of mass `lever` m away."""
    return dt * (0.5 * GRAVITY * t * 1.01 + spin * lever + spin**2 * lever * t) + t / dt * resolution(10.0)


FLIGHT_REASON = "first-order steps: dt (g t / 2 + w c + w^2 c t), spin w, centre of mass c away; and float32 at 10 m"


def _quat_from_rpy(rpy: Tensor) -> Tensor:
    """Yaw after pitch after roll, (..., 3) rad."""
    about = [quat_from_vector(rpy * axis) for axis in torch.eye(3, dtype=torch.float64)]
    return quat_multiply(about[2], quat_multiply(about[1], about[0]))


def _angle_between(a: Tensor, b: Tensor) -> Tensor:
    """Angle of the rotation from one to the other, (...) rad."""
    conjugate = b * torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    between = quat_multiply(conjugate, a)
    return 2.0 * torch.atan2(between[..., 1:].norm(dim=-1), between[..., 0].abs())


LAWS: tuple[Law, ...] = (free_fall, orientation, frames, push)
