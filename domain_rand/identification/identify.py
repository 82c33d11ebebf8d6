"""The whole of it: a log and a prior in, a posterior and a randomisation out."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError
from contract.robot import Robot
from domain_rand.distributions import Distribution, Empirical, TruncatedNormal
from domain_rand.identification.fixture import hung
from domain_rand.identification.log import MotionLog
from domain_rand.identification.posterior import Posterior, posterior, require_windows
from domain_rand.identification.problem import Problem
from domain_rand.identification.replay import Replay, Setting
from domain_rand.identification.search import Effort, search
from domain_rand.identification.unknowns import SENSOR_DELAY, Unknown, known_parameters, parse_unknowns
from domain_rand.identification.windows import Noise, cut, noise_of
from domain_rand.spec import How, Provenance, Randomisation, Term
from sim import engines
from sim.sensors import MAX_SENSOR_DELAY

Array = NDArray[np.float64]

_SAMPLE_PERIOD = 0.01  # s, between the samples of a window that are compared
_TAILS = 3.0  # standard deviations to both sides that the written distribution keeps
_QUANTILES = 101  # of measured delays, that are written


@dataclass(frozen=True)
class Request:
    """What to identify, and how.

    Attributes:
        parameters: words as `unknowns.parse_unknowns` takes them.
        prior: ranges of those that name none.
        base: `free`, or `fixed` for a robot that hung.
        window: s.
        setting: of the simulation. effort: of the search. seed: of the search.
    """

    parameters: Sequence[str]
    prior: Randomisation = field(default_factory=Randomisation)
    base: Literal["free", "fixed"] = "free"
    window: float = 0.3
    setting: Setting = field(default_factory=Setting)
    effort: Effort = field(default_factory=Effort)
    seed: int = 0


@dataclass(frozen=True)
class Finding:
    """One number, in SI units.

    Attributes:
        parameter, name: of the parameter, and of the number in it.
        unit: SI.
        estimate, low, high: the best, and 90 %.
        prior_low, prior_high: its range before.
        ratio: standard deviation after over before.
        identified: whether the log told it.
        verdict: in words.
    """

    parameter: str
    name: str
    unit: str
    estimate: float
    low: float
    high: float
    prior_low: float
    prior_high: float
    ratio: float
    identified: bool
    verdict: str


@dataclass(frozen=True, eq=False)
class Identification:
    """What came out.

    Attributes:
        log: its name. robot: of it. seconds: of it. windows: that were simulated.
        noise: of one sample of each signal.
        findings: numbers.
        open: sentences on what the log leaves open.
        misfit: root mean square of the white residuals; 1 where noise alone is left.
        misfit_before: in the middle of the prior.
        randomisation: what training should draw from.
        time: (S, M) s. measured, simulated: (S, M, D) readings. signals: which of the D are which.
    """

    log: str
    robot: str
    seconds: float
    windows: int
    noise: Noise
    findings: tuple[Finding, ...]
    open: tuple[str, ...]
    misfit: float
    misfit_before: float
    randomisation: Randomisation
    time: Array
    measured: Array
    simulated: Array
    signals: dict[str, slice]


def identify(
    log: MotionLog,
    robot: Robot,
    request: Request,
    progress: Callable[[str, int, float], None] = lambda *_: None,
) -> Identification:
    """Fit the simulator's parameters to a log.

    Args:
        log: of the robot's motion.
        robot: its description.
        request: see there.
        progress: as `search` takes it.

    Raises:
        UsageError: no such parameter or engine, a prior without a range, a log that is too short or does not fit.
    """
    if robot.fixed_base and request.base == "free":
        request = replace(request, base="fixed")
    with tempfile.TemporaryDirectory() as folder:
        body = hung(robot, Path(folder)) if request.base == "fixed" else robot
        parameters = known_parameters(engines.capabilities(request.setting.engine, body).parameters)
        unknowns = parse_unknowns(request.parameters, parameters, request.prior, robot)
        told = _told(log, unknowns)
        fitted = tuple(item for item in unknowns if told is None or item.parameter != SENSOR_DELAY)
        if not fitted:
            raise UsageError(f"{log.name}: its stamps tell {SENSOR_DELAY}; name a parameter that must be fitted, too")
        noise = noise_of(log)
        windows = cut(log, request.window, _SAMPLE_PERIOD, noise)
        require_windows(len(windows.start), sum(len(item.labels) for item in fitted))
        replay = Replay(body, log, windows, request.setting)
        try:
            problem = Problem(replay, fitted, noise)
            best = search(problem, request.effort, request.seed, progress)
            after = posterior(problem, best)
            before = problem.residuals(np.full((1, problem.size), 0.5))
            measured, simulated = problem.readings(best)
        finally:
            replay.close()
    findings = (*_findings(fitted, after), *([told[0]] if told else []))
    terms = [_term(item, [f for f in findings if f.parameter == item.parameter], log) for item in fitted]
    return Identification(
        log.name,
        robot.name,
        log.seconds,
        len(windows.start),
        noise,
        findings,
        tuple(direction.sentence for direction in after.open),
        after.misfit,
        float(np.sqrt((before**2).mean())),
        request.prior.updated(*terms, *([told[1]] if told else [])),
        log.time[windows.rows],
        measured,
        simulated,
        replay.signals,
    )


def _told(log: MotionLog, unknowns: Sequence[Unknown]) -> tuple[Finding, Term] | None:
    """The delay of the sensors, where it was asked for and the log's own stamps say it."""
    item = next((item for item in unknowns if item.parameter == SENSOR_DELAY), None)
    if item is None or log.age is None:
        return None
    low, middle, high = np.quantile(log.age, [0.05, 0.5, 0.95]).tolist()
    ages = np.clip(np.quantile(log.age, np.linspace(0.0, 1.0, _QUANTILES)), 0.0, MAX_SENSOR_DELAY)
    verdict = "measured: the stamps of the log tell it; the interval holds 90 % of the samples"
    ratio = (high - low) / (item.bounds[1] - item.bounds[0])
    finding = Finding(SENSOR_DELAY, SENSOR_DELAY, item.unit, middle, low, high, *item.bounds, ratio, True, verdict)
    distribution = Empirical(tuple(ages.tolist()))
    return finding, replace(item.prior, distribution=distribution, provenance=Provenance(How.MEASURED, _source(log)))


def _findings(unknowns: Sequence[Unknown], after: Posterior) -> list[Finding]:
    found = []
    (lower, upper), identified = after.interval, after.identified
    numbers = [(item, name) for item in unknowns for name in item.names]
    for i, (item, name) in enumerate(numbers):
        low, high = item.bounds
        estimate, left, right = (low + (high - low) * float(v[i]) for v in (after.mean, lower, upper))
        ratio = float(after.ratio[i])
        confounded = next((d for d in after.open if name in d.weights and len(d.weights) > 1), None)
        if identified[i]:
            verdict = "identified"
            if after.at_edge[i]:
                verdict += ", at the end of its prior's range: widen that"
        elif confounded:
            others = ", ".join(other for other in confounded.weights if other != name)
            verdict = f"not identifiable: confounded with {others}"
        else:
            verdict = f"not identifiable: {ratio:.0%} of the prior's width is left"
        found.append(
            Finding(
                item.parameter,
                name,
                item.unit,
                estimate,
                left,
                right,
                low,
                high,
                ratio,
                bool(identified[i]),
                verdict,
            )
        )
    return found


def _term(item: Unknown, findings: Sequence[Finding], log: MotionLog) -> Term:
    """The posterior, of all numbers of a parameter together; the prior where one of them is not known."""
    if not all(finding.identified for finding in findings):
        return replace(item.prior, per=item.per)
    distribution = pooled(
        np.array([finding.estimate for finding in findings]),
        np.array([finding.ratio for finding in findings]) * (item.bounds[1] - item.bounds[0]) / np.sqrt(12.0),
        item.bounds,
    )
    return replace(
        item.prior, distribution=distribution, per=item.per, provenance=Provenance(How.IDENTIFIED, _source(log))
    )


def pooled(mean: Array, std: Array, bounds: tuple[float, float]) -> Distribution:
    """One truncated normal for numbers with means and standard deviations (n,): a term has a single distribution."""
    spread = float(np.sqrt((std**2).mean() + mean.var()))
    low = max(bounds[0], float((mean - _TAILS * std).min()))
    high = min(bounds[1], float((mean + _TAILS * std).max()))
    return TruncatedNormal(float(mean.mean()), spread, low, high)


def _source(log: MotionLog) -> str:
    return f"log {log.name}, {log.seconds:.1f} s"
