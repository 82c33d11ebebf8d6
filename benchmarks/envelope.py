"""Does the training-envelope monitor see what training did not have, and how soon? And what else does?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.results import Aim, Row
from benchmarks.shifts import QUADRUPED, Shift
from benchmarks.timing import Spread
from contract.bundle import Bundle, read_bundle
from contract.errors import LandbridgeError
from contract.storage import replace_file
from deploy_robot.constraint import Constraint
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.onnx_policy import OnnxPolicy
from deploy_robot.thresholds import Threshold, thresholds_of
from domain_rand.randomiser import EpisodeRandomiser
from policies import bundles
from policies.batched_judge import BatchedJudge
from policies.calibration import calibrate
from policies.calibration_rollout import Blocks, record, task_of
from policies.calibration_statistics import rate_bound
from policies.evaluation import training_randomisation
from policies.robot_watch import RobotWatch
from sim.env import VecEnv

TITLE = "Training-envelope monitor"
ABOUT = (
    "Faults that training did not have, put upon robots that walk. `ours` counts the robots on which the monitor, "
    "calibrated, tripped within five seconds, `theirs` all that were tried; of false alarms, trips and robot-hours on "
    "fresh seeds. [The table](calibration.md#does-the-envelope-monitor-see-it) also has the default threshold, and "
    "what the other constraints saw."
)
ENVELOPE = "training_envelope"
BEGIN = "<!-- envelope: written by `python -m benchmarks envelope` -->\n"
END = "<!-- end of envelope -->\n"

_PAGE = Path(__file__).parents[1] / "docs" / "calibration.md"
_SEED = 5_000_011
_HEAD = (
    "fault",
    "default threshold",
    "calibrated",
    "after (median, 90 %)",
    "another constraint, calibrated",
    "fell within 5 s",
)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Seen:
    """Of one fault: which robots were tried, when each row tripped (s after it began, inf for never), who fell."""

    tried: Bools  # (N,)
    default: Floats  # (R, N)
    calibrated: Floats  # (R, N)
    fell: Bools  # (N,)


@dataclass(frozen=True)
class EnvelopeBenchmark:
    """Which bundle; false trips an hour that it is calibrated for; robots a fault; s before and after it begins; rounds
    of false alarms, each an episode of every robot; and the page.
    """

    bundle: str = "go2-velocity-flat"
    rate: float = 10.0
    robots: int = 64
    before: float = 4.0
    after: float = 5.0
    rounds: int = 3
    calibration_robots: int = 64
    shifts: tuple[Shift, ...] = QUADRUPED
    page: Path | None = _PAGE

    def run(self) -> Iterator[Row]:
        """False alarms first, then a row a fault; the page is written at the end."""
        plain = read_bundle(bundles.path(self.bundle))
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "bundle"
            calibrate(plain.path, path, false_trips_per_hour=self.rate, robots=self.calibration_robots)
            calibrated = read_bundle(path)
        tight, loose = thresholds_of(CONSTRAINTS, calibrated.contract), thresholds_of(CONSTRAINTS, plain.contract)
        normal = record(plain, self.rounds, self.robots, seed=_SEED)
        alarms = [_false_alarms(normal, found) for found in (loose, tight)]
        count, hours, bound, everything = alarms[1]
        yield Row(
            "no fault: false alarms an hour",
            count,
            hours,
            "trips, robot-hours",
            Spread(count / hours, count / hours, bound),
            Aim(self.rate, at_least=False),
            f"upper quartile is the 95 % bound; threshold {tight[ENVELOPE].value:.3g} of the values, by default"
            f" {loose[ENVELOPE].value:.3g}; all constraints together {everything / hours:.3g} an hour",
        )
        lines = [_line(["no fault", *(_alarm(*alarm[:3]) for alarm in alarms), "", f"{everything / hours:.2g}/h", ""])]
        for shift in self.shifts:
            seen, rows = self._try(plain, shift, loose, tight)
            envelope = [row.name for row in rows].index(ENVELOPE)
            cells, detected = _cells(shift, seen, envelope)
            lines.append(_line(cells))
            tried = int(seen.tried.sum())
            share = detected / tried
            note = f"after {cells[3]}; by default {cells[1]}; other constraints {cells[4]}; fell {cells[5]}"
            yield Row(shift.name, detected, tried, "robots", Spread(share, share, share), None, note)
        if self.page:
            self._write(self.page, lines)

    def _try(
        self, bundle: Bundle, shift: Shift, loose: dict[str, Threshold], tight: dict[str, Threshold]
    ) -> tuple[_Seen, tuple[Constraint, ...]]:
        task = task_of(bundle)
        env = VecEnv(
            task,
            self.robots,
            randomiser=EpisodeRandomiser(training_randomisation(task.name), _SEED),
            seed=_SEED,
            auto_reset=False,
        )
        try:
            policy, watch = OnnxPolicy(bundle, batch=self.robots), RobotWatch(env, bundle.contract)
            names = [signal.name for signal in bundle.contract.inputs]
            env.reset()
            alive = np.ones(self.robots, bool)

            def step() -> None:
                nonlocal alive
                target = policy.step({name: env.signals[name].cpu().numpy() for name in names})
                result = env.step(torch.from_numpy(target.astype(np.float32)).to(env.device))
                alive = alive & ~result.terminated.cpu().numpy()

            for _ in range(round(self.before / env.control_period)):
                step()
            tried, figures = alive, []
            begun = {name: values.clone() for name, values in env.signals.items()}
            shift.begin(env)
            for _ in range(round(self.after / env.control_period)):
                step()
                env.signals = shift.report(env, env.signals, begun)
                watch.step()
                figures.append(torch.where(torch.from_numpy(alive).to(env.device), watch.figures, -torch.inf))
            default, calibrated = (_times(watch.rows, thresholds, figures, env) for thresholds in (loose, tight))
        finally:
            env.close()
        return _Seen(tried, default, calibrated, tried & ~alive), watch.rows

    def _write(self, page: Path, lines: list[str]) -> None:
        """Put the table between its two marks."""
        text = page.read_text(encoding="utf-8")
        head, _, rest = text.partition(BEGIN)
        _, _, tail = rest.partition(END)
        about = (
            f"`{self.bundle}`, calibrated for {self.rate:g} false trips an hour, {self.robots} robots a fault,"
            f" randomised as in training, in `mujoco_cpu`. Measured {date.today().isoformat()} on"
            f" {machine.describe()}.\n"
        )
        table = [_line(_HEAD), _line(["---"] * len(_HEAD)), *lines]
        try:
            replace_file(page, (head + BEGIN + "\n" + about + "\n" + "\n".join(table) + "\n\n" + END + tail).encode())
        except OSError as error:
            raise LandbridgeError(f"cannot write {page}: {error.strerror}") from None


def _false_alarms(normal: Blocks, thresholds: dict[str, Threshold]) -> tuple[int, float, float, int]:
    """Trips of the envelope, robot-hours, upper bound on the rate (1/h), and blocks in which any row tripped."""
    limits = np.array([thresholds[row.name].value for row in normal.rows])
    tripping = normal.maxima > limits[:, None]
    count = int(tripping[[row.name for row in normal.rows].index(ENVELOPE)].sum())
    hours = float(normal.hours.sum())
    bound = rate_bound(count, len(normal.hours), hours / len(normal.hours))
    return count, hours, bound, int(tripping.any(axis=0).sum())


def _times(
    rows: tuple[Constraint, ...], thresholds: dict[str, Threshold], figures: list[torch.Tensor], env: VecEnv
) -> Floats:
    """When each row first trips, (R, N) s after the first of the figures (T of (R, N)); inf for never."""
    judge = BatchedJudge(rows, thresholds, env.num_envs, env.control_period, env.device)
    times = np.full(tuple(figures[0].shape), np.inf)
    for index, sample in enumerate(figures):
        trips = judge.judge(sample).cpu().numpy()
        times[trips] = np.minimum(times[trips], (index + 1) * env.control_period)
    return times


def _cells(shift: Shift, seen: _Seen, envelope: int) -> tuple[list[str], int]:
    """One line of the table, and how many the calibrated monitor detected."""
    tried = seen.tried
    detected = seen.calibrated[envelope, tried]
    found = np.isfinite(detected)
    others = np.delete(seen.calibrated, envelope, axis=0)[:, tried].min(axis=0)
    times = detected[found]
    after = f"{np.median(times):.2f} s, {np.quantile(times, 0.9):.2f} s" if found.any() else "-"
    shares = [
        np.isfinite(seen.default[envelope, tried]).mean(),
        found.mean(),
        np.isfinite(others).mean(),
        seen.fell[tried].mean(),
    ]
    default, calibrated, other, fell = (f"{share:.0%}" for share in shares)
    return [shift.name, default, calibrated, after, other, fell], int(found.sum())


def _alarm(count: int, hours: float, bound: float) -> str:
    return f"{count} in {hours:.1f} h (below {bound:.2g}/h)"


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
