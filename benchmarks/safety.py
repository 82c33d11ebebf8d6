"""The supervisor among random states, targets, clocks, faults and requests, for a million steps and more."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from benchmarks.results import Aim, Row
from benchmarks.timing import Spread

TITLE = "Safety properties"
ABOUT = (
    "The property test of the supervisor, tests/deploy_robot/test_supervisor_properties.py, with another seed in every "
    "run, until so many steps of random states, targets, clocks, faults and requests have been generated. In every "
    "step it looks for a joint target outside the limits or faster than the slew limit, a number that is not finite, a "
    "stop or a damping that ends by itself, and a request that is accepted while its obstacle stands. `ours` counts "
    "the runs that found one, `theirs` all runs."
)
_ROOT = Path(__file__).parents[1]
_TEST = "tests/deploy_robot/test_supervisor_properties.py"
_NONE = Aim(0.0, at_least=False)
_TOLD = re.compile(r"(\d+) steps of the supervisor were generated")


@dataclass(frozen=True)
class Outcome:
    """One run: the steps in which all held, and what was found, empty where nothing was."""

    steps: int
    finding: str = ""


def run_test(steps: int, seed: int) -> Outcome:
    """The property test for about so many steps, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", _TEST]
    environment = os.environ | {"LANDBRIDGE_SAFETY_STEPS": str(steps)}
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    told = _TOLD.search(done.stdout)
    if done.returncode == 0 and told:
        return Outcome(int(told[1]))
    lines = [line for line in done.stdout.splitlines() if line.startswith("E ")] or [f"exit code {done.returncode}"]
    return Outcome(int(told[1]) if told else 0, f"seed {seed}: {lines[0].removeprefix('E').strip()}")


@dataclass(frozen=True)
class SafetyBenchmark:
    """Sizes: steps in all, about how many a run, and runs at the same time."""

    steps: int = 1_000_000
    steps_a_run: int = 25_000
    workers: int = 2
    test: Callable[[int, int], Outcome] = run_test

    def run(self) -> Iterator[Row]:
        """One row: an unsafe outcome is a finding. The first run that finds one is the last."""
        if not (find_spec("pytest") and find_spec("hypothesis")):
            yield Row(
                "unsafe outcomes", None, None, "runs", None, _NONE, "not installed: pip install pytest hypothesis"
            )
            return
        outcomes: list[Outcome] = []
        seeds = count()
        with ThreadPoolExecutor(self.workers) as pool:
            while sum(outcome.steps for outcome in outcomes) < self.steps and not _findings(outcomes):
                chunk = [next(seeds) for _ in range(self.workers)]
                outcomes += pool.map(self.test, [self.steps_a_run] * len(chunk), chunk)
        found = _findings(outcomes)
        steps = sum(outcome.steps for outcome in outcomes)
        share = len(found) / len(outcomes)
        note = f"{steps:,} steps, seeds 0 to {len(outcomes) - 1}; found: {'; '.join(found) or 'nothing'}"
        yield Row("unsafe outcomes", len(found), len(outcomes), "runs", Spread(share, share, share), _NONE, note)


def _findings(outcomes: list[Outcome]) -> list[str]:
    return [outcome.finding for outcome in outcomes if outcome.finding]
