"""The check: a bundle's own graph in simulation, over a grid of commands, randomised as it never was before."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.bundle import read_bundle
from contract.errors import BundleError, LandbridgeError, UsageError
from contract.robot import Robot
from deploy_robot.onnx_policy import OnnxPolicy
from domain_rand.randomiser import EpisodeRandomiser, Missing
from domain_rand.spec import Randomisation
from policies import recipes
from policies.check_metrics import EpisodeMetrics, episode_metrics, mean_of_known, percentile, used_fraction
from policies.check_monitors import EpisodeTrips, SupervisorTrips
from policies.check_rollout import Progress, check_fits, roll_out
from sim import tasks
from sim.env import VecEnv
from sim.rollout import Rollout
from sim.tasks.task import CheckSpec, Task

Array = NDArray[np.float64]

HELD_OUT_WIDTH = 1.25
"""Ranges of the check over those of training: the robot may be somewhat stranger than training thought."""

SEED_OFFSET = 1_000_003  # a check of seed s never draws the episodes of a training of seed s


@dataclass(frozen=True)
class Bar:
    """One requirement. It holds only if `value` is known: NaN fails."""

    name: str
    unit: str
    value: float
    limit: float

    @property
    def passed(self) -> bool:
        """Whether the requirement holds."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Cell:
    """One command of the grid: means over its episodes, percentiles over their steps and joints.

    Attributes:
        scores: of each metric of the task, in its unit.
        torque_fraction, velocity_fraction: 99th percentiles of |value| / limit.
    """

    name: str
    command: tuple[float, ...]
    episodes: int
    falls: int
    scores: dict[str, float]
    torque_fraction: float
    velocity_fraction: float


@dataclass(frozen=True)
class Column:
    """What a metric of the task is called, for tables."""

    name: str
    label: str
    unit: str


@dataclass(frozen=True)
class Fall:
    """A fall, with all that is needed to bring the same robot back: (seed, env) or the draw itself.

    Attributes:
        env: environment, which is also the row of the check's recording.
        cell: name of the command.
        time: s from the start.
        diverged: the physics diverged, which counts as a fall.
        draw: the randomised parameters of the episode, in the units of the environment's parameters.
    """

    env: int
    cell: str
    command: tuple[float, ...]
    time: float
    diverged: bool
    draw: dict[str, list[float]]


@dataclass(frozen=True)
class CheckResult:
    """What the check found. `bars` are the requirements of the task's definition."""

    bundle: str
    digest: str
    task: str
    robot: str
    engine: str
    seed: int
    episodes: int
    seconds: float  # s, of an episode
    settle: float  # s, not counted for tracking
    randomisation_width: float
    not_randomised: tuple[str, ...]  # parameters that training draws and this engine does not have
    wall_time: float  # s
    metrics: tuple[Column, ...]
    bars: tuple[Bar, ...]
    cells: tuple[Cell, ...]
    falls: tuple[Fall, ...]
    supervisor: SupervisorTrips  # what would have tripped; no requirement

    @property
    def passed(self) -> bool:
        """Whether every requirement holds."""
        return all(bar.passed for bar in self.bars)


@dataclass(frozen=True, eq=False)
class Check:
    """A result with the recording that it was worked out from."""

    result: CheckResult
    robot: Robot
    task: Task
    rollout: Rollout
    metrics: EpisodeMetrics
    torque_fraction: NDArray[np.float32]  # (M, J) of the limit, every step of every robot that had not fallen
    velocity_fraction: NDArray[np.float32]  # (M, J)


def training_randomisation(task: str) -> Randomisation:
    """What the recipe for `task` randomises: the yardstick, whatever the bundle says of its own training.

    Raises:
        LandbridgeError: no recipe trains that task.
    """
    for name in recipes.names():
        recipe = recipes.load(name)
        if recipe.task == task:
            return recipe.randomisation
    raise LandbridgeError(f"no recipe trains task {task}, so nothing says how to randomise a check of it")


def evaluate(
    bundle: Path,
    *,
    engine: str = "mujoco_cpu",
    randomisation: Randomisation | None = None,
    episodes: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Check:
    """Check a bundle against the bar of its task. Equal arguments give equal figures on one machine.

    Args:
        bundle: directory or zip.
        engine: name of a physics engine.
        randomisation: what training drew from, `training_randomisation` of the task if None; the check draws
            from it widened by `HELD_OUT_WIDTH`. What the engine has no parameter for stays as it is, and
            `CheckResult.not_randomised` says so.
        episodes: of each command; the task's own number if None.
        seed: of the draws, initial states and noise.
        threads: physics threads, all cores if None.
        device: as `sim.engines.make` takes it.
        progress: called with (control steps done, in all).

    Raises:
        BundleError: the bundle is damaged, or made for another robot or task than this installation has.
    """
    start = time.monotonic()
    if episodes is not None and episodes < 1:
        raise UsageError(f"episodes: must be at least 1, got {episodes}")
    artefact = read_bundle(bundle)
    try:
        task = tasks.load(artefact.contract.task)
    except UsageError as error:
        raise BundleError(f"contract.json: task: {error}") from None
    if randomisation is None:
        randomisation = training_randomisation(task.name)
    spec = task.check
    each = episodes or spec.episodes_per_command
    cells = np.repeat(np.arange(len(spec.commands)), each)
    commands = np.array([spec.commands[cell].command for cell in cells], np.float32)
    policy = OnnxPolicy(artefact, batch=len(cells))
    policy.replay_golden()
    randomiser = EpisodeRandomiser(
        randomisation.widened(HELD_OUT_WIDTH), seed + SEED_OFFSET, missing=Missing.LEFT_ALONE
    )
    env = VecEnv(
        task,
        len(cells),
        engine=engine,
        randomiser=randomiser,
        seed=seed,
        threads=threads,
        device=device,
        auto_reset=False,
    )
    try:
        check_fits(artefact.contract, env)
        trips = EpisodeTrips(env, artefact.contract)
        rollout = roll_out(policy, env, commands, spec.seconds, progress, trips)
        robot = env.robot
    finally:
        env.close()

    metrics = episode_metrics(rollout, spec.settle, spec.metrics)
    driven = list(robot.actuated)
    torque = used_fraction(
        rollout.joint_torque[..., driven], np.array(artefact.contract.effort_limit)[driven], rollout.alive
    )
    velocity = used_fraction(
        rollout.joint_vel[..., driven], np.array(artefact.contract.velocity_limit)[driven], rollout.alive
    )
    # Of each step that counts, whose environment it is.
    owner = np.broadcast_to(cells, rollout.alive.shape)[rollout.alive]
    table = tuple(
        Cell(
            name=command.name,
            command=command.command,
            episodes=each,
            falls=int(metrics.fell[cells == index].sum()),
            scores={name: mean_of_known(values[cells == index]) for name, values in metrics.scores.items()},
            torque_fraction=percentile(torque[owner == index]),
            velocity_fraction=percentile(velocity[owner == index]),
        )
        for index, command in enumerate(spec.commands)
    )
    result = CheckResult(
        bundle=str(bundle),
        digest=artefact.digest,
        task=task.name,
        robot=robot.name,
        engine=engine,
        seed=seed,
        episodes=len(cells),
        seconds=spec.seconds,
        settle=spec.settle,
        randomisation_width=HELD_OUT_WIDTH,
        not_randomised=randomiser.missing,
        wall_time=time.monotonic() - start,
        metrics=tuple(Column(m.name, m.label, m.unit) for m in spec.metrics),
        bars=_bars(spec, table, torque, velocity),
        cells=table,
        falls=_falls(spec, cells, rollout, metrics),
        supervisor=trips.result(),
    )
    return Check(result, robot, task, rollout, metrics, torque, velocity)


def _bars(
    spec: CheckSpec,
    cells: tuple[Cell, ...],
    torque: NDArray[np.float32],
    velocity: NDArray[np.float32],
) -> tuple[Bar, ...]:
    # Plain means over cells: a cell whose robots all fell before they settled is NaN, and so is the mean.
    episodes = sum(cell.episodes for cell in cells)
    return (
        *(
            Bar(m.name, m.unit, float(np.mean([cell.scores[m.name] for cell in cells])), m.limit)
            for m in spec.metrics
            if m.limit is not None
        ),
        Bar("falls", "per episode", sum(c.falls for c in cells) / episodes, spec.max_fall_rate),
        Bar("torque used", "of limit, p99", percentile(torque), spec.max_torque_fraction),
        Bar("joint velocity used", "of limit, p99", percentile(velocity), spec.max_velocity_fraction),
    )


def _falls(spec: CheckSpec, cells: NDArray[np.int64], rollout: Rollout, metrics: EpisodeMetrics) -> tuple[Fall, ...]:
    return tuple(
        Fall(
            env=int(env),
            cell=spec.commands[cells[env]].name,
            command=spec.commands[cells[env]].command,
            time=float(metrics.duration[env]),
            diverged=bool(rollout.diverged[env]),
            draw={name: [float(v) for v in values[env]] for name, values in rollout.draws.items()},
        )
        for env in np.flatnonzero(rollout.fell)
    )
