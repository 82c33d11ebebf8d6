"""What both engines are asked to do: one initial state and one command sequence over time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError
from contract.robot import Robot
from contract.rotations import quat_from_euler
from policies.gap.state import State
from sim.tasks.task import Task
from sim.terrains import spawn_height

Array = NDArray[np.float32]

COUNTED_SECONDS = 1.0  # s of each leg, after the task has settled
MIN_LEG_SECONDS = 0.2
_BRISK = 0.6  # of the longer half of a command's range: well inside what training covered


@dataclass(frozen=True)
class Leg:
    """A stretch of the course with one command, in the units of the command signal."""

    name: str
    command: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Course:
    """The legs one after another, from `start`.

    Attributes:
        steps: control steps of a leg.
        settle: control steps after which a leg counts for the task's metrics; shorter legs are not scored.
        start: one state, the same for every engine whatever its random numbers are.
    """

    legs: tuple[Leg, ...]
    steps: int
    settle: int
    start: State

    @property
    def commands(self) -> Array:
        """(T, C) command at each control step."""
        return np.repeat(np.array([leg.command for leg in self.legs], np.float32), self.steps, axis=0)


def course(task: Task, robot: Robot, seed: int, leg_seconds: float | None = None) -> Course:
    """Stand still, then each element of the command alone, from a state that training could have started with.

    Args:
        leg_seconds: length of a leg, s; None for what the task needs to settle and `COUNTED_SECONDS` more.
    """
    spec = task.command
    legs = [Leg("stand" if len(spec.elements) > 1 else "zero", (0.0,) * len(spec.elements))]
    for i, element in enumerate(spec.elements):
        wide = spec.upper[i] if spec.upper[i] >= -spec.lower[i] else spec.lower[i]
        if wide:
            legs.append(Leg(element, tuple(_BRISK * wide * (i == k) for k in range(len(spec.elements)))))
    seconds = task.check.settle + COUNTED_SECONDS if leg_seconds is None else leg_seconds
    if not seconds >= MIN_LEG_SECONDS:
        raise UsageError(f"seconds: a leg of the course must last at least {MIN_LEG_SECONDS:g} s, got {seconds:g}")
    steps = round(seconds / task.control_period)
    settle = round(task.check.settle / task.control_period)
    return Course(tuple(legs), steps, settle, _start(task, robot, seed))


def _start(task: Task, robot: Robot, seed: int) -> State:
    generator, initial = np.random.default_rng(seed), task.initial

    def spread(half: float, size: int) -> NDArray[np.float64]:
        return half * generator.uniform(-1.0, 1.0, (1, size))

    height = robot.standing_height + spawn_height(task.terrain) + 0.5 * initial.height + spread(0.5 * initial.height, 1)
    joint_pos = robot.default_joint_pos + spread(initial.joint_pos, robot.num_joints)
    return State(
        root_pos=np.concatenate([np.zeros((1, 2)), height], axis=1),
        root_quat=quat_from_euler(np.zeros((1, 3))),
        root_lin_vel=spread(initial.lin_vel, 3),
        root_ang_vel=spread(initial.ang_vel, 3),
        joint_pos=np.clip(joint_pos, robot.joint_lower, robot.joint_upper),
        joint_vel=spread(initial.joint_vel, robot.num_joints),
    )
