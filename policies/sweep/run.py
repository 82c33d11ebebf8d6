"""Runs a sweep: the deployed graph itself, levels and repeats side by side as environments of one batch."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from contract.bundle import Bundle, read_bundle
from contract.codec import FieldError
from contract.errors import BundleError, UsageError
from contract.lookup import unknown
from deploy_robot.onnx_policy import OnnxPolicy
from domain_rand.randomiser import EpisodeRandomiser, Missing
from domain_rand.spec import Randomisation, parse_terms
from policies.calibration_rollout import task_of
from policies.check_metrics import episode_metrics, mean_of_known, percentile
from policies.check_rollout import Progress, check_fits, roll_out
from policies.sweep import joint
from policies.sweep.margin import holds_to, margin_interval, wilson
from policies.sweep.plan import Index, Plan, PlannedRandomiser, joined
from policies.sweep.ranges import LeftOut, Range, ranges
from policies.sweep.result import Bound, Joint, Level, ParameterSweep, Settings, Side, SweepResult
from sim.env import VecEnv
from sim.tasks.task import CheckSpec, Task

Array = NDArray[np.float64]

BATCH = 512
"""Environments side by side at most; a longer plan is played in several goes of the same environments."""

REFERENCE = 64
"""Episodes with nothing held, about."""

ORDINARY = 0.95
"""Share of those that is taken for ordinary."""

EVERYTHING = Settings()

_ROUNDING = 1e-6  # of an offset

_SEED_OFFSET = 4_000_037  # other robots than those of training, check, packaging and calibration


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Of each episode (M,) of a plan: the scores of the measures that have a bar, and whether it ended in a fall."""

    scores: dict[str, Array]
    fell: NDArray[np.bool_]


def sweep(
    bundle: Path,
    settings: Settings = EVERYTHING,
    *,
    randomisation: Randomisation | None = None,
    engine: str = "mujoco_cpu",
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> SweepResult:
    """Vary each randomised parameter alone, then all at once. Equal arguments give equal figures on one machine.

    An episode succeeds if the robot does not fall and keeps to each bar of the task's check. Bars are on means over
    commands and robots, so an episode's score is first freed of what its command is harder than the others with nothing
    held, and may then be what is ordinary with nothing held where that is more than the bar.

    Args:
        bundle: directory or zip.
        randomisation: whose ranges are the measure; the one in the bundle's contract if None.
        engine: name of a physics engine.
        seed: of the draws, initial states, noise and design.
        threads: physics threads, all cores if None.
        device: as `sim.engines.make` takes it.
        progress: called with (control steps done, in all), of all robots together.

    Raises:
        BundleError: the bundle is damaged, or made for another robot or task than this installation has.
        UsageError: a parameter is unknown or cannot be varied, or there is none to vary.
    """
    start = time.monotonic()
    artefact = read_bundle(bundle)
    task = task_of(artefact)
    trained = _randomisation(artefact) if randomisation is None else randomisation
    asked, left_out = _asked(settings, task, trained, engine, threads, device)
    plans = _plans(settings, task, asked, seed)
    plan = joined(list(plans.values()))
    base = EpisodeRandomiser(
        trained if settings.others == "training" else Randomisation(), seed + _SEED_OFFSET, missing=Missing.LEFT_ALONE
    )
    outcome = _play(artefact, task, plan, base, engine, seed + _SEED_OFFSET, threads, device, progress)

    rows, start_row = {}, 0
    for name, part in plans.items():
        rows[name] = slice(start_row, start_row + len(part))
        start_row += len(part)
    spec = task.check
    success, bounds = _judged(spec, outcome, plan.commands, rows[_REFERENCE])
    main = next(metric for metric in spec.metrics if metric.limit is not None)
    error = outcome.scores[main.name]
    found = []
    for one in asked:
        own = rows[one.parameter]
        found.append(_alone(one, settings, success[own], outcome.fell[own], error[own], seed))
    return SweepResult(
        bundle=str(bundle),
        digest=artefact.digest,
        task=task.name,
        robot=task.robot,
        engine=engine,
        seed=seed,
        settings=settings,
        seconds=spec.seconds,
        error=main.name,
        unit=main.unit,
        bounds=bounds,
        reference=float(success[rows[_REFERENCE]].mean()),
        reference_episodes=len(success[rows[_REFERENCE]]),
        parameters=tuple(sorted(found, key=lambda one: one.margin)),
        joint=_joint(settings, asked, success[rows[_JOINT]], seed) if settings.trajectories else None,
        left_out=left_out,
        steps=len(plan) * round(spec.seconds / task.control_period),
        wall_time=time.monotonic() - start,
        was_signed="signature.json" in artefact.files,
    )


def _randomisation(bundle: Bundle) -> Randomisation:
    try:
        return parse_terms(bundle.contract.randomisation, "randomisation")
    except FieldError as error:
        raise BundleError(f"contract.json: {error}") from None


def _asked(
    settings: Settings, task: Task, trained: Randomisation, engine: str, threads: int | None, device: str
) -> tuple[tuple[Range, ...], tuple[LeftOut, ...]]:
    """What is varied, and what is left out although it was not asked to be."""
    # What an engine can set is known once there is one.
    env = VecEnv(task, 1, engine=engine, threads=threads, device=device)
    try:
        robot, parameters = env.robot, env.parameters
    finally:
        env.close()
    mass = float(mujoco.MjModel.from_xml_path(str(robot.mjcf)).body(robot.base_body).mass[0])
    possible, left_out = ranges(trained, parameters, engine=engine, control_period=task.control_period, base_mass=mass)
    by_name = {r.parameter: r for r in possible}
    reasons = {one.parameter: one.reason for one in left_out}
    for name in settings.parameters:
        if name in reasons:
            raise UsageError(f"parameters: {name} cannot be varied: {reasons[name]}")
        if name not in by_name:
            raise unknown("randomised parameter", name, by_name)
    if not possible:
        why = "; ".join(f"{one.parameter}: {one.reason}" for one in left_out) or "it has no randomisation"
        raise UsageError(
            f"nothing of this bundle's training can be varied ({why}): name the ranges with --randomisation FILE"
        )
    if settings.parameters:
        return tuple(by_name[name] for name in settings.parameters), ()
    return possible, left_out


# -- what is played -----------------------------------------------------------------------------------------------


_REFERENCE, _JOINT = "(reference)", "(joint)"


def _plans(settings: Settings, task: Task, asked: Sequence[Range], seed: int) -> dict[str, Plan]:
    """Episodes with nothing held, those of each parameter alone, and those of all together."""
    count = len(task.check.commands)
    each = math.ceil(REFERENCE / count)
    plans = {_REFERENCE: Plan(np.arange(each * count), np.repeat(np.arange(count), each), {})}
    for one in asked:
        values = one.value(one.offsets(settings.reach, settings.levels))
        repeat = np.tile(np.arange(settings.repeats), len(values))
        held = {one.parameter: np.repeat(values, settings.repeats)}
        plans[one.parameter] = Plan(repeat, _spread(repeat, settings.repeats, count), held)
    if settings.trajectories:
        points = _points(settings, asked, seed)
        repeats = settings.joint_repeats
        repeat = np.tile(np.arange(repeats), len(points))
        trajectory = np.repeat(np.arange(len(points)) // (len(asked) + 2), repeats)
        # The same robots and commands all along a trajectory, others along the next.
        commands = (_spread(repeat, repeats, count) + trajectory) % count
        held = {}
        for column, one in enumerate(asked):
            low, high = one.ends(settings.joint_reach)
            held[one.parameter] = np.repeat(one.value(low + (high - low) * points[:, column]), repeats)
        plans[_JOINT] = Plan(trajectory * repeats + repeat, commands, held)
    return plans


def _spread(repeat: Index, repeats: int, count: int) -> Index:
    """Which of `count` commands each repeat follows: all alike often, or as far apart as there are repeats."""
    return repeat * count // repeats if repeats < count else repeat % count


def _points(settings: Settings, asked: Sequence[Range], seed: int) -> Array:
    return joint.design([one.parameter for one in asked], settings.trajectories, seed)


def _play(
    bundle: Bundle,
    task: Task,
    plan: Plan,
    base: EpisodeRandomiser,
    engine: str,
    seed: int,
    threads: int | None,
    device: str,
    progress: Progress | None,
) -> _Outcome:
    """Play every episode of the plan."""
    spec = task.check
    goes = math.ceil(len(plan) / BATCH)
    batch = math.ceil(len(plan) / goes)
    policy = OnnxPolicy(bundle, batch=batch)
    policy.replay_golden()
    every = np.arange(goes * batch) % len(plan)  # what is left over in the last go is played twice
    randomiser = PlannedRandomiser(base, plan, every[:batch])
    env = VecEnv(
        task,
        batch,
        engine=engine,
        randomiser=randomiser,
        seed=seed,
        threads=threads,
        device=device,
        auto_reset=False,
    )
    bars = [metric for metric in spec.metrics if metric.limit is not None]
    scores: dict[str, list[Array]] = {metric.name: [] for metric in bars}
    fell = []
    try:
        check_fits(bundle.contract, env)
        for go, rows in enumerate(every.reshape(goes, batch)):

            def show(step: int, steps: int, done: int = go) -> None:
                if progress is not None:
                    progress(batch * (done * steps + step), batch * goes * steps)

            randomiser.rows = rows
            commands = np.array([spec.commands[i].command for i in plan.commands[rows]], np.float32)
            metrics = episode_metrics(roll_out(policy, env, commands, spec.seconds, show), spec.settle, bars)
            fell.append(metrics.fell)
            for name, values in metrics.scores.items():
                scores[name].append(values)
    finally:
        env.close()
    return _Outcome(
        {name: np.concatenate(parts)[: len(plan)] for name, parts in scores.items()},
        np.concatenate(fell)[: len(plan)],
    )


# -- what came of it ----------------------------------------------------------------------------------------------


def _judged(
    spec: CheckSpec, outcome: _Outcome, commands: Index, reference: slice
) -> tuple[NDArray[np.bool_], tuple[Bound, ...]]:
    """(M,) episodes that succeed, and what they had to keep to."""
    good, bounds = ~outcome.fell, []
    at = commands[reference]
    for metric in spec.metrics:
        if metric.limit is None:
            continue
        scores = outcome.scores[metric.name]
        means = np.array([mean_of_known(scores[reference][at == i]) for i in range(len(spec.commands))])
        alike = scores - np.nan_to_num(means - mean_of_known(means))[commands]
        known = alike[reference][~np.isnan(alike[reference])]
        usual = percentile(known, 100.0 * ORDINARY)
        bounds.append(Bound(metric.name, metric.unit, metric.limit, float(np.fmax(metric.limit, usual))))
        good &= alike <= bounds[-1].most  # False for NaN
    return good, tuple(bounds)


def _alone(
    one: Range, settings: Settings, success: NDArray[np.bool_], fell: NDArray[np.bool_], error: Array, seed: int
) -> ParameterSweep:
    """One parameter, from its episodes (levels * repeats,)."""
    offsets = one.offsets(settings.reach, settings.levels)
    values = one.value(offsets)
    by_level = (len(offsets), settings.repeats)
    successes, falls = success.reshape(by_level).sum(axis=1), fell.reshape(by_level).sum(axis=1)
    low, high = wilson(successes, np.full(len(offsets), settings.repeats))
    errors = [mean_of_known(row) for row in error.reshape(by_level)]
    levels = tuple(
        Level(
            value=float(values[i]),
            offset=float(offsets[i]),
            episodes=settings.repeats,
            successes=int(successes[i]),
            falls=int(falls[i]),
            success=float(successes[i] / settings.repeats),
            low=float(low[i]),
            high=float(high[i]),
            error=_known(errors[i]),
        )
        for i in range(len(offsets))
    )

    def side(sign: float) -> Side:
        outwards = np.flatnonzero(sign * offsets >= 0.0)
        outwards = outwards[np.argsort(sign * offsets[outwards])]
        distances, hits = sign * offsets[outwards], successes[outwards]
        margin = _known(float(holds_to(distances, hits / settings.repeats, settings.share)))
        interval = margin_interval(distances, hits, settings.repeats, settings.share, seed)
        return Side(
            margin=margin,
            value=None if margin is None else float(one.value(np.array(sign * margin))),
            low=_known(interval[0]),
            high=_known(interval[1]),
            tried=float(distances[-1]),
            limit=bool(distances[-1] < settings.reach - _ROUNDING),
        )

    return ParameterSweep(one.parameter, one.unit, one.low, one.high, levels, below=side(-1.0), above=side(1.0))


def _joint(settings: Settings, asked: Sequence[Range], success: NDArray[np.bool_], seed: int) -> Joint:
    failures = 1.0 - success.reshape(-1, settings.joint_repeats).mean(axis=1)
    names = [one.parameter for one in asked]
    found = joint.effects(names, _points(settings, asked, seed), failures, seed)
    chance = next(effect for effect in found if effect.parameter == joint.CHANCE)
    floor = joint.floor(chance, settings.trajectories, settings.joint_repeats)
    return Joint(len(success), float(success.mean()), floor, found)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
