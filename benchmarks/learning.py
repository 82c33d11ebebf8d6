"""Training from nothing until the task's check holds: control steps and wall-clock, a row a seed."""

import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.results import Aim, Row
from benchmarks.scene import RECIPE
from benchmarks.throwaway_bundle import export_throwaway
from benchmarks.timing import Spread
from contract.errors import LandbridgeError, UsageError
from policies import recipes
from policies.evaluation import evaluate
from policies.provenance import config_hash
from policies.recipe import Recipe
from policies.trainer import Outcome, Trainer
from policies.training import build_trainer

TITLE = "Learning"
ABOUT = (
    f"Recipe `{RECIPE}` trained from nothing under its randomisation. Training pauses every so many control steps, the "
    "policy is exported, and `check` runs the exported graph over its command grid on robots that are randomised more "
    "widely than in training. The figure is the control steps (in millions) at the first check that holds, against an "
    "aim of 5 million; wall-clock is that of training, pauses not counted."
)
AIM = 5.0  # million control steps


@dataclass(frozen=True)
class CheckPoint:
    """One check: training so far, and the bars as (value, limit)."""

    steps: int
    seconds: float
    passed: bool
    bars: dict[str, tuple[float, float]]


class Quiet:
    """A training reporter that keeps to itself; the checks are what is reported."""

    def report(self, iteration: int, done: float, seconds_left: float, figures: Mapping[str, float]) -> None:
        """Nothing."""

    def note(self, sentence: str) -> None:
        """Print it."""
        print(f"  {sentence}", flush=True)


@dataclass(frozen=True)
class LearningBenchmark:
    """What to train and how often to look.

    Attributes:
        seeds: one run each.
        budget: control steps after which a seed is given up.
        every: control steps between checks.
        episodes: of each command in a check; the task's own number if None.
        folder: where runs are kept until all seeds are done; an interrupted benchmark goes on from there.
        recipe: what to train; its seed and budget are replaced.
    """

    seeds: tuple[int, ...] = (1, 2, 3)
    budget: int = 8_000_000
    every: int = 250_000
    episodes: int | None = None
    folder: Path = Path("runs/benchmarks")
    recipe: Recipe = field(default_factory=lambda: recipes.load(RECIPE))

    def run(self) -> Iterator[Row]:
        """A row a seed."""
        if self.recipe.ppo.schedule == "linear":
            raise UsageError("ppo.schedule: a linear schedule ends with the budget, and pauses would cut it in pieces")
        folder = self.folder / f"learning-{config_hash([self.recipe, self.budget, self.every, self.episodes])[:12]}"
        for seed in self.seeds:
            yield self._row(seed, self._train(seed, folder / f"seed-{seed}"))
        # Done: the next benchmark begins anew.
        folder.rename(folder.with_name(f"{folder.name}-{datetime.now():%Y%m%d-%H%M%S-%f}"))

    def _train(self, seed: int, folder: Path) -> list[CheckPoint]:
        """Go on with a seed until a check holds or the budget is spent."""
        checks = _read(folder)
        if self._done(checks):
            return checks
        recipe = dataclasses.replace(self.recipe, seed=seed)
        trainer = build_trainer(recipe, folder, Quiet())
        try:
            if trainer.checkpoints.paths():
                trainer.resume()
            while not self._done(checks):
                self._train_until(trainer, min(self.budget, (len(checks) + 1) * self.every))
                checks.append(self._check(trainer, recipe))
                _append(folder, checks[-1])
                print(f"  seed {seed}: {_sentence(checks[-1])}", flush=True)
        finally:
            trainer.env.close()
        return checks

    def _train_until(self, trainer: Trainer, steps: int) -> None:
        trainer.config = dataclasses.replace(trainer.config, steps=steps, minutes=None)
        if trainer.train() is Outcome.INTERRUPTED:
            raise KeyboardInterrupt

    def _check(self, trainer: Trainer, recipe: Recipe) -> CheckPoint:
        with tempfile.TemporaryDirectory() as scratch:
            bundle = export_throwaway(trainer.controller, recipe, Path(scratch) / "bundle")
            result = evaluate(bundle, episodes=self.episodes).result
        bars = {bar.name: (bar.value, bar.limit) for bar in result.bars}
        return CheckPoint(trainer.steps, trainer.seconds, result.passed, bars)

    def _done(self, checks: list[CheckPoint]) -> bool:
        return bool(checks) and (checks[-1].passed or checks[-1].steps >= self.budget)

    def _row(self, seed: int, checks: list[CheckPoint]) -> Row:
        last = checks[-1]
        millions = last.steps / 1e6
        if not last.passed:
            why = f"the bar did not hold within the budget: {_sentence(last)}"
            return Row(f"seed {seed}", None, AIM, "million control steps", None, Aim(1.0, at_least=False), why)
        return Row(
            f"seed {seed}",
            millions,
            AIM,
            "million control steps",
            Spread.of([millions / AIM]),
            Aim(1.0, at_least=False),
            _sentence(last),
        )


def _sentence(check: CheckPoint) -> str:
    bars = ", ".join(f"{name} {value:.3g} of {limit:g}" for name, (value, limit) in check.bars.items())
    verdict = "passed" if check.passed else "not yet"
    return f"{check.steps / 1e6:.2f} million steps, {check.seconds / 60:.1f} min of training, {verdict}: {bars}"


def _read(folder: Path) -> list[CheckPoint]:
    path = folder / "checks.jsonl"
    if not path.exists():
        return []
    try:
        return [CheckPoint(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise LandbridgeError(f"cannot read {path}: {error}; delete {folder} to begin anew") from None


def _append(folder: Path, check: CheckPoint) -> None:
    with (folder / "checks.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(check)) + "\n")
