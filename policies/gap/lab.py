"""Where engines are made and asked: environments without randomisation, and the states that both are put into."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from contract.robot import Robot
from domain_rand.randomiser import ReplayRandomiser
from domain_rand.spec import Randomisation
from policies.gap.bench import Bench
from policies.gap.contract import Probes
from policies.gap.motors import identify
from policies.gap.physics import outcome, rms
from policies.gap.response import Array, feet_by_joint, in_the_air, joined, wild
from policies.gap.run import CLOSED, NOISY, ROWS, Run
from policies.gap.state import State
from sim.env import VecEnv
from sim.tasks.task import Task

PROBED = 256  # random states, of which a motor that follows a wrong target leaves saturation in a few dozen

_NOISE = ("joint_pos_noise", "joint_vel_noise", "gyro_noise", "imu_quat_noise")


@dataclass(frozen=True)
class Lab:
    """What environments for a comparison share.

    Attributes:
        states: environments of a bench, one a state; enough to move each joint alone.
    """

    task: Task
    robot: Robot
    states: int
    seed: int
    threads: int | None
    device: str

    @contextmanager
    def course_env(self, engine: str, randomisation: Randomisation) -> Iterator[VecEnv]:
        """`ROWS` nominal robots, of which the rows `NOISY` have the worst sensors of training."""
        draws = {}
        for term in randomisation.terms:
            if term.parameter in _NOISE:
                values = torch.zeros(ROWS, 1)
                values[NOISY] = term.distribution.support[1]
                draws[term.parameter] = values
        with self._env(self.task, engine, ROWS, ReplayRandomiser(draws)) as env:
            yield env

    @contextmanager
    def bench(self, engine: str, run: Run, finer: int = 1) -> Iterator[Bench]:
        """An engine to be asked about single periods from the states of `run`, with a `finer` physics step."""
        task = replace(self.task, decimation=finer * self.task.decimation)
        start, target, _ = sampled(run, self.states)
        with self._env(task, engine, self.states, None) as env:
            yield Bench(env, (start, target), in_the_air(self.robot, self.states, self.seed))

    @contextmanager
    def _env(self, task: Task, engine: str, rows: int, randomiser: ReplayRandomiser | None) -> Iterator[VecEnv]:
        env = VecEnv(
            task,
            rows,
            engine=engine,
            randomiser=randomiser,
            seed=self.seed,
            threads=self.threads,
            device=self.device,
            auto_reset=False,
        )
        try:
            yield env
        finally:
            env.close()


def sampled(run: Run, count: int) -> tuple[State, Array, np.ndarray]:
    """`count` states of the closed-loop row, evenly over the time that it stood, their targets, and their steps."""
    steps = np.linspace(0, max(run.steps(CLOSED) - 1, 0), count).astype(int)
    return run.before.rows((steps, CLOSED)), run.target[steps, CLOSED], steps


def probe(name: str, bench: Bench, seed: int) -> Probes:
    """What an engine takes its inputs for."""
    env = bench.env
    batches = -(-PROBED // env.num_envs)
    response = joined([bench.again(*wild(env.robot, env.num_envs, seed + i)) for i in range(batches)])
    return Probes(name, response, feet_by_joint(env), identify(response, env.robot))


def reset_error(bench: Bench, run: Run) -> dict[str, float]:
    """By channel, how much a period differs when its engine is put into a state that it has been in before."""
    start, target, steps = sampled(run, bench.env.num_envs)
    again = outcome(bench.again(start, target))
    after = run.after.rows((steps, CLOSED))
    then = {
        "base velocity": after.root_lin_vel,
        "base rotation": after.root_ang_vel,
        "joint velocity": after.joint_vel,
        "torque": run.torque[steps, CLOSED],
        "contact": run.contact[steps, CLOSED],
    }
    return {channel: rms(again[channel] - values) for channel, values in then.items()}
