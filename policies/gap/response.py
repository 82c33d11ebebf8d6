"""One control period from given states: the instrument that shows physics apart from what grows out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contract.robot import Robot
from contract.rotations import quat_from_euler
from policies.gap.state import State, place, read
from sim.env import VecEnv

Array = NDArray[np.float32]

LIFT = 2.0  # m, above any ground that a robot here walks on
GENTLE = 0.3  # of each motor's torque
GENTLE_ROWS = slice(0, None, 2)
PROBE_ANGLE = 0.05  # rad, by which one joint is moved to see what moves with it


@dataclass(frozen=True, eq=False)
class Response:
    """What an engine makes of M states and targets in one control period.

    Attributes:
        start: what it was given. target: (M, J) rad.
        placed: the state that it reports right after it was placed. seen: the same, where sensors see it from theirs.
        after: states at the end. torque: (M, J) N m. contact: (M, G) N.
        last_pos, last_vel: (M, J) joints at the start of the last physics step, in which `torque` acted.
        mean_vel: (M, J) rad/s, mean of the joint velocity over the period, by the trapezoidal rule.
        ends: (M,) where each termination of the task would end the episode, by name.
    """

    start: State
    target: Array
    placed: State
    seen: State
    after: State
    torque: Array
    contact: Array
    last_pos: Array
    last_vel: Array
    mean_vel: Array
    ends: dict[str, NDArray[np.bool_]]


def respond(env: VecEnv, start: State, target: Array) -> Response:
    """Place every environment and let one control period pass under `target` (M, J) rad."""
    place(env, start)
    trace, placed = env.engine.trace, read(env)
    sensed = ("root_quat", "root_ang_vel", "joint_pos", "joint_vel")
    seen = replace(placed, **{name: getattr(trace, name)[:, -1].cpu().numpy().copy() for name in sensed})
    env.step(torch.from_numpy(target).to(env.device))
    trace, state = env.engine.trace, env.state
    joint_pos, joint_vel = trace.joint_pos.cpu().numpy(), trace.joint_vel.cpu().numpy()
    several = joint_pos.shape[1] > 1
    return Response(
        start=start,
        target=target,
        placed=placed,
        seen=seen,
        after=read(env),
        torque=state.joint_torque.cpu().numpy().copy(),
        contact=state.contact_force.cpu().numpy().copy(),
        last_pos=joint_pos[:, -2].copy() if several else placed.joint_pos,
        last_vel=joint_vel[:, -2].copy() if several else placed.joint_vel,
        mean_vel=joint_vel.mean(axis=1) + (placed.joint_vel - joint_vel[:, -1]) / (2.0 * joint_vel.shape[1]),
        ends={term.name: term.function(env).cpu().numpy().copy() for term in env.task.terminations},
    )


def joined(responses: Sequence[Response]) -> Response:
    """Responses one after another, as if of one larger batch."""

    def join(values: list[Any]) -> Any:
        if isinstance(values[0], State):
            return State(**{f.name: np.concatenate([getattr(v, f.name) for v in values]) for f in fields(State)})
        if isinstance(values[0], dict):
            return {name: np.concatenate([v[name] for v in values]) for name in values[0]}
        return np.concatenate(values)

    return Response(**{f.name: join([getattr(r, f.name) for r in responses]) for f in fields(Response)})


def in_the_air(robot: Robot, count: int, seed: int) -> tuple[State, Array]:
    """Random states in the air and random targets, (count, J) rad: joints, motors and inertia show, and no ground.

    Targets ask for up to `GENTLE` of each motor's torque.
    """
    generator = np.random.default_rng(seed)
    joints = robot.num_joints

    def spread(size: int) -> NDArray[np.float64]:
        return generator.uniform(-1.0, 1.0, (count, size))

    lower, upper = _range(robot)
    joint_pos = 0.5 * (lower + upper) + 0.3 * (upper - lower) * spread(joints)
    driven = list(robot.actuated)
    target = joint_pos.copy()
    target[:, driven] += GENTLE * (robot.joint_effort_limit / np.maximum(robot.kp, 1e-9) * spread(joints))[:, driven]
    start = State(
        root_pos=np.tile([0.0, 0.0, robot.standing_height + LIFT], (count, 1)),
        root_quat=quat_from_euler(np.array([0.5, 0.5, np.pi]) * spread(3)),
        root_lin_vel=0.5 * spread(3),
        root_ang_vel=1.0 * spread(3),
        joint_pos=joint_pos,
        joint_vel=0.1 * robot.joint_velocity_limit * spread(joints),
    )
    return start, target.astype(np.float32)


def wild(robot: Robot, count: int, seed: int) -> tuple[State, Array]:
    """The same, but in every second row targets come from the range of all joints together.

    So a motor that follows another joint's target, or one with an offset, leaves saturation at times, and shows what
    it follows.
    """
    start, target = in_the_air(robot, count, seed)
    driven = list(robot.actuated)
    lower, upper = _range(robot)
    low, high = float(lower[driven].min()), float(upper[driven].max())
    anywhere = np.random.default_rng((seed, 1)).uniform(low, high, target.shape)
    anywhere[GENTLE_ROWS] = target[GENTLE_ROWS]
    target[:, driven] = anywhere[:, driven]
    return start, target


def feet_by_joint(env: VecEnv) -> Array | None:
    """Where the feet are, from the base, (1 + J, F, 3) m: with every joint at zero, then with joint j moved.

    At zero a robot stands the same whichever way its joints are ordered and turn, so that what moves with joint j
    tells which joint that is.

    Returns:
        None for a robot without feet, where nothing shows it.
    """
    robot = env.robot
    if not robot.feet:
        return None
    moved = np.arange(robot.num_joints)
    joint_pos = np.zeros((env.num_envs, robot.num_joints))
    joint_pos[1 + moved, moved] = PROBE_ANGLE
    still = np.zeros((env.num_envs, 3))
    root_pos = np.tile([0.0, 0.0, robot.standing_height + LIFT], (env.num_envs, 1))
    place(env, State(root_pos, quat_from_euler(still), still, still, joint_pos, np.zeros_like(joint_pos)))
    feet = env.state.foot_pos - env.state.root_pos[:, None]
    return feet[: 1 + robot.num_joints].cpu().numpy().copy()


def _range(robot: Robot) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position limits, a turn at most."""
    return np.maximum(robot.joint_lower, -np.pi), np.minimum(robot.joint_upper, np.pi)
