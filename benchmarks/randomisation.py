"""The price of randomising: the whole environment with the full set on, against the same with nothing randomised."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from benchmarks import machine
from benchmarks.results import Aim, Row
from benchmarks.scene import RECIPE, Targets, advance
from benchmarks.timing import rate_ratio, take_turns
from domain_rand.presets import FULL, QUADRUPED
from domain_rand.randomiser import EpisodeRandomiser
from domain_rand.spec import Randomisation
from policies import recipes
from sim import tasks
from sim.env import VecEnv

TITLE = "The price of randomising"
ABOUT = (
    "Whole environments of Go2 robots that shuffle, stumble and fall under random joint targets: one without any "
    "randomisation, the others with what the recipe randomises and with the preset `full`, which has every term, some "
    "drawn anew within episodes. They take turns under the same targets. Robots that are all alike and never pushed do "
    "not fall as those that are randomised do, and resets cost time too: it is the price of the training, not of the "
    "draws alone."
)


@dataclass(frozen=True)
class RandomisationBenchmark:
    """Sizes: environments, control steps a round, rounds, physics threads (all cores if None)."""

    num_envs: int = 256
    steps: int = 10
    rounds: int = 60
    threads: int | None = None

    def run(self) -> Iterator[Row]:
        """The recipe's own, then everything."""
        threads = self.threads or machine.cores()
        torch.set_num_threads(recipes.load(RECIPE).train.collect_threads)
        for what, randomisation in (("preset `quadruped`", QUADRUPED), ("preset `full`", FULL)):
            with closing(self._env(randomisation, threads)) as ours, closing(self._env(None, threads)) as plain:
                targets = Targets(ours, self.steps)
                seconds = take_turns(
                    {name: partial(_advance, env, targets) for name, env in (("on", ours), ("off", plain))},
                    self.rounds,
                    partial(_draw, targets),
                )
                ends = {name: len(env.finished) for name, env in (("on", ours), ("off", plain))}
            steps = self.num_envs * self.steps
            yield Row(
                what,
                steps / float(np.median(seconds["on"])),
                steps / float(np.median(seconds["off"])),
                "control steps/s",
                rate_ratio(seconds["on"], seconds["off"]),
                Aim(0.85) if randomisation is FULL else None,
                f"{self.num_envs} environments, {threads} threads, {self.rounds} rounds of {self.steps} control steps; "
                f"{len(randomisation.terms)} terms; {ends['on']} episodes ended and were drawn anew, {ends['off']} "
                "without randomisation",
            )

    def _env(self, randomisation: Randomisation | None, threads: int) -> VecEnv:
        randomiser = None if randomisation is None else EpisodeRandomiser(randomisation, seed=1)
        return VecEnv(tasks.load(recipes.load(RECIPE).task), self.num_envs, randomiser=randomiser, threads=threads)


def _draw(targets: Targets) -> None:
    targets.draw()


def _advance(env: VecEnv, targets: Targets) -> None:
    advance(env, targets.block)
