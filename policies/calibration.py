"""Thresholds of a bundle's monitors, from recorded rollouts: tight, and yet at most so many false trips an hour."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract import signature
from contract.bundle import Bundle, check_replaceable, read_bundle, write_bundle
from contract.errors import UsageError
from deploy_robot.constraint import PERIODS
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.onnx_policy import OnnxPolicy
from deploy_robot.thresholds import thresholds_of
from policies.calibration_rollout import Blocks, Progress, block_hours, record, task_of
from policies.calibration_statistics import CONFIDENCE, blocks_needed, choose, rate_bound, trips_permitted
from sim.tasks.task import Task

ROBOTS = 64
TIGHTEST = 0.1
"""Share of its default that a threshold keeps at least: what a simulation never does a robot may well do."""

_PILOT_SHARE = 0.25  # of the blocks
_COMFORT = 2.2  # times the blocks that the promise needs at least, so that two of them may trip
_LONGEST = 6000.0  # minutes of robot time that are simulated unasked: close to an hour on two processor cores
_SENSELESS = 1e6  # trips an hour, or minutes
_CARD_HEADING = "## Monitors"


@dataclass(frozen=True)
class CalibratedRow:
    """One constraint before and after.

    Attributes:
        old, new: thresholds in `unit`.
        promised: whether the promise covers it; if not, its default trips more often in simulation than was asked for.
        per_hour: first trips at the new threshold, over all recorded hours.
        bound: upper bound on that.
        margin: how far the largest figure of the median episode stays below the new threshold, as a share of it.
    """

    name: str
    unit: str
    old: float
    new: float
    promised: bool
    per_hour: float
    bound: float
    margin: float


@dataclass(frozen=True)
class Calibration:
    """What came out.

    Attributes:
        bundle, digest: that was calibrated.
        asked: false trips an hour of the whole robot, all promised rows together.
        per_hour, bound: of the promised rows together, on the blocks that the pilot did not use.
        robot_hours: that counted, of all blocks; blocks: how many of them chose the level.
        falls: episodes that ended in one.
        rows: that were judged. not_judged: of each other row, what it looks at.
        was_signed: a signature was dropped.
    """

    bundle: str
    digest: str
    engine: str
    seed: int
    asked: float
    confidence: float
    per_hour: float
    bound: float
    robot_hours: float
    blocks: int
    falls: int
    rows: tuple[CalibratedRow, ...]
    not_judged: dict[str, str]
    not_randomised: tuple[str, ...]
    was_signed: bool


def calibrate(
    bundle: Path,
    out: Path,
    *,
    false_trips_per_hour: float,
    minutes: float | None = None,
    engine: str = "mujoco_cpu",
    robots: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Calibration:
    """Write a copy of a bundle to `out` whose `monitors` are calibrated.

    Args:
        bundle: directory or zip.
        false_trips_per_hour: at most so many in simulation, with CONFIDENCE, all promised rows together.
        minutes: of robot time to simulate; None for somewhat more than the promise takes.
        robots: that are simulated side by side, ROBOTS if None.

    Raises:
        UsageError: a number makes no sense, the rate cannot be promised from so few minutes, or `out` is `bundle`.
        BundleError: the bundle is damaged or does not do here what it did in training, or `out` cannot be written.
    """
    for name, value in (("--false-trips-per-hour", false_trips_per_hour), ("--minutes", minutes)):
        if value is not None and not 0.0 < value < _SENSELESS:
            raise UsageError(f"{name}: must be above 0 and below {_SENSELESS:g}, got {value:g}")
    if out.resolve() == bundle.resolve():
        raise UsageError(f"--out {out}: is the bundle itself, which is never changed; name another folder")
    check_replaceable(out)
    artefact = read_bundle(bundle)
    robots = robots or ROBOTS
    rounds = _rounds(false_trips_per_hour, minutes, task_of(artefact), robots)
    blocks = record(
        artefact, rounds, robots, engine=engine, seed=seed, threads=threads, device=device, progress=progress
    )
    result = _result(artefact, blocks, false_trips_per_hour, engine, seed)
    _write(artefact, result, out)
    return result


def _rounds(rate: float, minutes: float | None, task: Task, robots: int) -> int:
    """Rounds of one episode each, so that enough blocks are left beside the pilot."""
    needed = blocks_needed(rate, block_hours(task)) / (1.0 - _PILOT_SHARE)
    if minutes is None:
        minutes = _COMFORT * needed * task.episode_seconds / 60.0
        if minutes > _LONGEST:
            raise UsageError(
                f"--false-trips-per-hour {rate:g}: to promise that takes {minutes:.3g} minutes of robot time: give"
                " --minutes if that is what you want, or a higher rate"
            )
        return max(2, math.ceil(60.0 * minutes / task.episode_seconds / robots))
    rounds = math.ceil(60.0 * minutes / task.episode_seconds / robots)
    # One more, for what rounding and robots that fall early take away.
    if rounds < needed / robots + 1.0:
        least = robots * math.ceil(needed / robots + 1.0) * task.episode_seconds / 60.0
        raise UsageError(
            f"--minutes {minutes:g}: to promise {rate:g} false trips an hour with {CONFIDENCE:.0%} confidence takes"
            f" {math.ceil(least)} minutes of robot time: give more, or a higher --false-trips-per-hour"
        )
    return rounds


def _result(bundle: Bundle, blocks: Blocks, asked: float, engine: str, seed: int) -> Calibration:
    thresholds = thresholds_of(CONSTRAINTS, bundle.contract)
    defaults = thresholds_of(CONSTRAINTS, dataclasses.replace(bundle.contract, monitors={}))
    old = np.array([thresholds[row.name].value for row in blocks.rows])
    floors = np.minimum(old, [TIGHTEST * defaults[row.name].value for row in blocks.rows])
    pilot = max(1, round(_PILOT_SHARE * blocks.maxima.shape[1]))
    chosen = blocks.maxima[:, pilot:]
    hours = float(blocks.hours.mean())
    permitted = trips_permitted(asked, chosen.shape[1], hours)
    if permitted < 0:
        raise UsageError(
            "--minutes: too many robots fell early for that rate to be promised from so few: give more minutes, or a"
            " higher --false-trips-per-hour"
        )
    choice = choose(blocks.maxima[:, :pilot], chosen, floors, old, permitted)
    new, promised = choice.values, choice.promised
    tripping = chosen > new[:, None]
    total = int(tripping[promised].any(axis=0).sum())
    count = chosen.shape[1]
    everywhere = (blocks.maxima > new[:, None]).sum(axis=1)
    median = np.median(blocks.maxima, axis=1)
    rows = tuple(
        CalibratedRow(
            name=row.name,
            unit=thresholds[row.name].unit,
            old=float(old[r]),
            new=float(new[r]),
            promised=bool(promised[r]),
            per_hour=float(everywhere[r] / blocks.hours.sum()),
            bound=rate_bound(int(everywhere[r]), blocks.maxima.shape[1], hours),
            margin=float(1.0 - median[r] / new[r]) if new[r] > 0.0 else math.nan,
        )
        for r, row in enumerate(blocks.rows)
    )
    return Calibration(
        bundle=str(bundle.path),
        digest=bundle.digest,
        engine=engine,
        seed=seed,
        asked=asked,
        confidence=CONFIDENCE,
        per_hour=total / (count * hours),
        bound=rate_bound(total, count, hours),
        robot_hours=float(blocks.hours.sum()),
        blocks=count,
        falls=blocks.falls,
        rows=rows,
        not_judged=blocks.absent,
        not_randomised=blocks.not_randomised,
        was_signed=signature.FILE in bundle.files,
    )


def _write(bundle: Bundle, result: Calibration, out: Path) -> None:
    """The bundle with its new thresholds, proven as any other."""
    units = {row.name: row.unit for row in CONSTRAINTS}
    period = bundle.contract.control_period
    tightened = {
        row.name: row.new / period if units[row.name] == PERIODS else row.new
        for row in result.rows
        if row.new < row.old
    }
    contract = dataclasses.replace(bundle.contract, monitors={**bundle.contract.monitors, **tightened})
    thresholds_of(CONSTRAINTS, contract)
    before, _, _ = bundle.card.partition(_CARD_HEADING)
    card = f"{before.rstrip()}\n\n{_CARD_HEADING}\n\n{summary(result)}\n"
    OnnxPolicy(read_bundle(write_bundle(out, contract, bundle.onnx, bundle.golden, card, bundle.plots))).replay_golden()


def summary(result: Calibration) -> str:
    """What is promised, in one sentence, and how it is known."""
    return (
        f"Calibrated for at most {result.asked:g} false trips an hour: {result.per_hour:.3g} measured, at most"
        f" {result.bound:.3g} with {result.confidence:.0%} confidence, from {result.robot_hours:.1f} robot-hours in"
        f" {result.engine}, randomised as in training, seed {result.seed}."
    )
