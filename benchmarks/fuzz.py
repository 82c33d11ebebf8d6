"""Damaged and hostile files for everything that reads them."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzzing import coverage
from benchmarks.fuzzing.catalogue import all_targets
from benchmarks.fuzzing.worker import Factory, Outcome, fuzz
from benchmarks.results import Aim, Row
from benchmarks.timing import Spread

TITLE = "Fuzzing"
ABOUT = (
    "Inputs that were changed at random and by the rules of their format, for every reader of a bundle, for both "
    "messages of a Unitree Go2 and both frames of the emulated bus, and for every ROS message that a node takes from "
    "others. `ours` counts those that crashed the reader, hung it, or were accepted although broken; `theirs` all that "
    "were tried. What is accepted is judged by other means: the sound original, hashes and checksums computed again, "
    "the readers of numpy and onnx, the fields of the message itself. Rows with coverage are inputs that atheris chose "
    "by the lines they reach."
)
_NONE = Aim(0.0, at_least=False)


@dataclass(frozen=True)
class FuzzBenchmark:
    """Sizes: seconds a target, and as many guided by coverage; the seed; s after which an input counts as a hang."""

    seconds: float = 12.0
    guided_seconds: float = 12.0
    seed: int = 0
    patience: float = 30.0
    factory: Factory = all_targets

    def run(self) -> Iterator[Row]:
        """One row a target, and another where atheris is installed."""
        with tempfile.TemporaryDirectory() as scratch:
            names = [target.name for target in self.factory(Path(scratch))]
        for name in names:
            yield _row(name, fuzz(self.factory, name, self.seconds, self.seed, self.patience), judged=True)
            if self.guided_seconds > 0 and coverage.available():
                outcome = coverage.fuzz_guided(name, self.guided_seconds, self.seed)
                yield _row(f"{name}, with coverage", outcome, judged=False)
        if not coverage.available():
            yield Row(
                "with coverage", None, None, "inputs", None, _NONE, "atheris is not installed: pip install atheris"
            )


def _row(what: str, outcome: Outcome, judged: bool) -> Row:
    found = len(outcome.findings)
    share = found / outcome.tried if outcome.tried else float("nan")
    counts = f", {outcome.tried - outcome.accepted - found:,} refused, {outcome.accepted:,} sound" if judged else ""
    note = f"{outcome.tried:,} inputs{counts}; found: {'; '.join(outcome.findings) or 'nothing'}"
    return Row(what, found, outcome.tried, "inputs", Spread(share, share, share), _NONE, note)
