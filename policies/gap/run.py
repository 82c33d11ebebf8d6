"""One engine driven over the course, closed loop and open loop side by side, all recorded."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.robot import Robot
from deploy_robot.onnx_policy import OnnxPolicy
from policies.gap.course import Course
from policies.gap.state import State, place, read, stack
from sim.env import VecEnv
from sim.rollout import Rollout, robot_mass

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]

CLOSED, OPEN, NOISY = 0, 1, slice(2, None)
"""Rows of a run: the policy reads this engine; its targets are given; closed again, under sensor noise of training."""
NOISY_COPIES = 4
ROWS = 2 + NOISY_COPIES


@dataclass(frozen=True, eq=False)
class Run:
    """T control steps of `ROWS` robots in one engine. Rows that have fallen hold numbers without meaning.

    Attributes:
        engine: its name. period: control period, s. contact_geoms: columns of `contact`.
        command: (T, C) the course.
        signals: what the policy could read at the start of each step, (T, N, ...).
        target: (T, N, J) rad.
        before: true states at the start of each step, (T, N, ...) each. after: at its end.
        torque: (T, N, J) N m. contact: (T, N, G) N. base_lin_vel: (T, N, 3) m/s, base frame; all at the end.
        alive: (T, N) had not fallen yet, this step included.
        diverged: (N,) fell because the physics diverged.
    """

    engine: str
    period: float
    contact_geoms: tuple[str, ...]
    command: Array
    signals: dict[str, Array]
    target: Array
    before: State
    after: State
    torque: Array
    contact: Array
    base_lin_vel: Array
    alive: NDArray[np.bool_]
    diverged: NDArray[np.bool_]

    def steps(self, row: int) -> int:
        """Control steps before the fall."""
        return int(self.alive[:, row].sum())

    def fall_time(self, row: int) -> float | None:
        """When a row fell, s; None where it stands at the end."""
        return None if self.alive[-1, row] else (self.steps(row) + 1) * self.period

    def rollout(self, steps: slice, robot: Robot) -> Rollout:
        """A stretch of it with one command, for the metrics of a task."""
        after = self.after
        return Rollout(
            period=self.period,
            alive=self.alive[steps],
            diverged=self.diverged,
            command=np.repeat(self.command[steps][:1], self.alive.shape[1], axis=0),
            base_lin_vel=self.base_lin_vel[steps],
            base_ang_vel=after.root_ang_vel[steps],
            root_pos=after.root_pos[steps],
            root_quat=after.root_quat[steps],
            joint_pos=after.joint_pos[steps],
            joint_vel=after.joint_vel[steps],
            joint_torque=self.torque[steps],
            joint_target=self.target[steps],
            mass=np.full(self.alive.shape[1], robot_mass(robot)),
            draws={},
        )


def run(
    policy: OnnxPolicy, env: VecEnv, name: str, course: Course, script: Array | None, progress: Progress | None = None
) -> Run:
    """Drive `ROWS` environments over the course.

    Args:
        policy: of batch `ROWS`; its memory is cleared first.
        env: with `auto_reset=False`.
        name: of the engine.
        script: (T, J) targets of the open-loop row; None for those of the closed-loop row.
        progress: called with (steps done, steps in all).
    """
    commands = torch.from_numpy(course.commands).to(env.device)
    signal_names = [signal.name for signal in policy.contract.inputs]
    command_name = env.task.command.name
    env.commands.fix(commands[0].repeat(env.num_envs, 1))
    env.reset()
    place(env, course.start.rows(np.zeros(env.num_envs, int)))
    env.sensors.reset(torch.arange(env.num_envs, device=env.device), env.engine.trace)
    policy.reset()
    signals = {**env.sensors.read(), command_name: env.command}
    alive = np.ones(env.num_envs, bool)
    diverged = np.zeros(env.num_envs, bool)
    record: dict[str, list[Array]] = {field: [] for field in ("target", "torque", "contact", "base_lin_vel")}
    signal_rows: dict[str, list[Array]] = {signal: [] for signal in signal_names}
    before, after, alive_rows = [], [], []
    for step in range(len(commands)):
        read_now = {signal: _copy(signals[signal]) for signal in signal_names}
        target = policy.step(read_now).astype(np.float32)
        target[OPEN] = target[CLOSED] if script is None else script[min(step, len(script) - 1)]
        for signal, value in read_now.items():
            signal_rows[signal].append(value)
        before.append(read(env))
        # What the policy reads after this step is already the next command.
        env.commands.fix(commands[min(step + 1, len(commands) - 1)].repeat(env.num_envs, 1))
        result = env.step(torch.from_numpy(target).to(env.device))
        signals = env.signals
        diverged |= alive & _copy(result.diverged)
        alive = alive & ~_copy(result.terminated)
        alive_rows.append(alive)
        after.append(read(env))
        record["target"].append(target)
        record["torque"].append(_copy(env.state.joint_torque))
        record["contact"].append(_copy(env.state.contact_force))
        record["base_lin_vel"].append(_copy(env.base_lin_vel))
        if progress is not None:
            progress(step + 1, len(commands))
    return Run(
        engine=name,
        period=env.control_period,
        contact_geoms=env.engine.contact_geoms,
        command=course.commands,
        signals={signal: np.stack(rows) for signal, rows in signal_rows.items()},
        before=stack(before),
        after=stack(after),
        alive=np.stack(alive_rows),
        diverged=diverged,
        **{field: np.stack(rows) for field, rows in record.items()},
    )


def _copy(values: Tensor) -> NDArray[Any]:
    return values.cpu().numpy().copy()
