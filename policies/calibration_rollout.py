"""Records what the constraints would have seen of a bundle's policy, many robots, an episode at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contract.bundle import Bundle
from contract.errors import BundleError, LandbridgeError, UsageError
from deploy_robot.constraint import Constraint
from deploy_robot.onnx_policy import OnnxPolicy
from domain_rand.randomiser import EpisodeRandomiser, Missing
from policies.batched_judge import samples_to_trip
from policies.calibration_statistics import block_maxima
from policies.check_rollout import check_fits
from policies.evaluation import training_randomisation
from policies.robot_watch import RobotWatch
from sim import tasks
from sim.env import VecEnv
from sim.tasks.task import Task

BEFORE_FALL = 1.0
"""s before a fall that do not count: what trips then is right to."""

_SEED_OFFSET = 3_000_017  # other episodes than those of training, check and packaging

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Blocks:
    """One column an episode of a robot, B in all.

    Attributes:
        rows: constraints that could be judged, R. absent: of each other one, what it looks at.
        maxima: (R, B) largest figure that lasted for long enough to trip, in the rows' units (s for control periods).
        hours: (B,) robot-hours that counted.
        falls: episodes that ended in one.
        not_randomised: parameters that training draws and the engine does not have.
    """

    rows: tuple[Constraint, ...]
    absent: dict[str, str]
    maxima: Array
    hours: Array
    falls: int
    not_randomised: tuple[str, ...]


def task_of(bundle: Bundle) -> Task:
    """The task that the bundle's policy was trained for; BundleError where this installation does not know it."""
    try:
        return tasks.load(bundle.contract.task)
    except UsageError as error:
        raise BundleError(f"contract.json: task: {error}") from None


def block_hours(task: Task) -> float:
    """Robot-hours of an episode that count: what comes after it has settled."""
    return (task.episode_seconds - task.check.settle) / 3600.0


def record(
    bundle: Bundle,
    rounds: int,
    robots: int,
    *,
    engine: str = "mujoco_cpu",
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Blocks:
    """Run the exported graph for `rounds` whole episodes of `robots` robots, randomised and commanded as in training.

    Raises:
        BundleError: the bundle does not do here what it did in training, or is for another robot or task.
        LandbridgeError: every robot fell too early.
    """
    task = task_of(bundle)
    policy = OnnxPolicy(bundle, batch=robots)
    policy.replay_golden()
    randomiser = EpisodeRandomiser(training_randomisation(task.name), seed + _SEED_OFFSET, missing=Missing.LEFT_ALONE)
    env = VecEnv(
        task,
        robots,
        engine=engine,
        randomiser=randomiser,
        seed=seed + _SEED_OFFSET,
        threads=threads,
        device=device,
        auto_reset=False,
    )
    try:
        check_fits(bundle.contract, env)
        watch = RobotWatch(env, bundle.contract)
        names = [signal.name for signal in bundle.contract.inputs]
        maxima, hours, falls = [], [], 0
        for index in range(rounds):

            def show(step: int, done: int = index * env.max_steps) -> None:
                if progress is not None:
                    progress(done + step, rounds * env.max_steps)

            figures, alive = _episode(policy, env, watch, names, show)
            counted = _counted(alive, round(task.check.settle / env.control_period), env.control_period)
            maxima.append(
                np.stack(
                    [
                        block_maxima(figures[:, r], counted, samples_to_trip(row, env.control_period))
                        for r, row in enumerate(watch.rows)
                    ]
                )
            )
            hours.append(counted.sum(axis=0) * env.control_period / 3600.0)
            falls += int((~alive[-1]).sum())
    finally:
        env.close()
    lived = np.concatenate(hours)
    if not lived.any():
        raise LandbridgeError(
            "every robot fell before anything could be counted: this policy has no normal to learn from"
        )
    return Blocks(
        rows=watch.rows,
        absent=dict(watch.absent),
        maxima=np.concatenate(maxima, axis=1)[:, lived > 0.0],
        hours=lived[lived > 0.0],
        falls=falls,
        not_randomised=randomiser.missing,
    )


def _episode(
    policy: OnnxPolicy, env: VecEnv, watch: RobotWatch, names: list[str], show: Callable[[int], None]
) -> tuple[Array, NDArray[np.bool_]]:
    """Figures (T, R, N) of one whole episode of every robot, and whether it had not fallen yet, (T, N)."""
    env.reset()
    policy.reset()
    alive = np.ones(env.num_envs, bool)
    figures, alive_rows = [], []
    for step in range(env.max_steps):
        target = policy.step({name: env.signals[name].cpu().numpy() for name in names})
        result = env.step(torch.from_numpy(target.astype(np.float32)).to(env.device))
        alive = alive & ~result.terminated.cpu().numpy()
        watch.step()
        figures.append(watch.figures.cpu().numpy())
        alive_rows.append(alive)
        show(step + 1)
    return np.stack(figures).astype(np.float64), np.stack(alive_rows)


def _counted(alive: NDArray[np.bool_], settle: int, period: float) -> NDArray[np.bool_]:
    """(T, N) samples that count: settled, and not of a robot that is about to fall or has fallen."""
    end = alive.sum(axis=0) - np.where(alive[-1], 0, round(BEFORE_FALL / period))
    steps = np.arange(len(alive))[:, None]
    return (steps >= settle) & (steps < end)
