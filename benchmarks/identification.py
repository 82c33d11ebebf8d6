"""Whether what identification says of a robot is true: coverage of its intervals, and its errors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.results import Aim, Row
from benchmarks.timing import Spread
from domain_rand.identification.identify import Identification, Request, identify
from domain_rand.identification.replay import Setting
from domain_rand.identification.search import Effort
from domain_rand.identification.simulated import Wiggle, simulated_log
from domain_rand.identification.windows import Noise
from sim.conformance.robots import TWO_ARMS

TITLE = "Identification"
ABOUT = (
    "Two planar arms with four motors are simulated for eight seconds with parameters drawn anew in each trial and "
    "known sensor noise (2 mrad, 0.1 rad/s), and then identified from that log alone: joint damping, joint friction, "
    "motor strength and action delay. `ours` counts the trials in which an interval of 90 % held the truth, `theirs` "
    "all trials; the last row counts numbers that came back within 10 %, of all that were said to be identified."
)
RANGES = {
    "joint_damping": (0.05, 0.6),
    "joint_friction": (0.02, 0.4),
    "motor_strength": (0.7, 1.3),
    "action_delay": (0.002, 0.018),
}
NOISE = Noise(joint_pos=0.002, joint_vel=0.1, gyro=1.0, tilt=1.0)
_COVERED = Aim(0.8)
_CLOSE = Aim(0.9)
_WITHIN = 0.1  # of the true value


def trial(seed: int, seconds: float = 8.0) -> tuple[dict[str, float], Identification]:
    """The truth of a seed, and what was found."""
    rng = np.random.default_rng([seed, 1])
    truth = {name: float(rng.uniform(*bounds)) for name, bounds in RANGES.items()}
    log = simulated_log(TWO_ARMS, truth, Wiggle(seconds), NOISE, seed)
    words = [f"{name}={0.5 * low:g},{1.25 * high:g}" for name, (low, high) in RANGES.items()]
    effort = Effort(generations=8, windows=12, steps=3)
    setting = Setting(batch=128, threads=0)
    return truth, identify(log, TWO_ARMS, Request(words, base="fixed", setting=setting, effort=effort, seed=seed))


@dataclass(frozen=True)
class IdentificationBenchmark:
    """Sizes: trials, and seconds of each log."""

    trials: int = 100
    seconds: float = 8.0

    def run(self) -> Iterator[Row]:
        """A row for each parameter, and one for all errors."""
        covered = dict.fromkeys(RANGES, 0)
        close = told = 0
        worst = 0.0
        for seed in range(self.trials):
            truth, found = trial(seed, self.seconds)
            for finding in found.findings:
                true = truth[finding.parameter]
                covered[finding.parameter] += finding.low <= true <= finding.high
                if finding.identified:
                    error = abs(finding.estimate - true) / true
                    told += 1
                    close += error <= _WITHIN
                    worst = max(worst, error)
        for name, count in covered.items():
            yield _row(f"intervals of {name} that hold the truth", count, self.trials, "trials", _COVERED)
        note = f"largest error {worst:.1%}; {len(RANGES) * self.trials - told} numbers were said to be not identifiable"
        yield _row(f"errors below {_WITHIN:.0%}", close, told, "numbers", _CLOSE, note)


def _row(what: str, count: int, of: int, unit: str, aim: Aim, note: str = "") -> Row:
    if not of:
        return Row(what, count, of, unit, None, aim, note)
    return Row(what, count, of, unit, Spread(count / of, count / of, count / of), aim, note)
