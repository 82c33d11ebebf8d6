"""How memory and speed grow with the number of environments."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import machine
from benchmarks.footprint import footprint
from benchmarks.results import Aim, Row
from benchmarks.scene import Targets, advance, make_env
from benchmarks.timing import Spread, rate_ratio, take_turns

TITLE = "Memory, and speed with many environments"
ABOUT = (
    "Whole environments, randomised. Memory is the growth of a fresh process's resident memory when they are made and "
    "stepped. For speed, all sizes take turns in one process, each with the same number of environment steps a round; "
    "the ratio is of steps a second to those of the smallest size, and must not fall: more than 5 % below is fallen."
)
_STILL = 0.95


@dataclass(frozen=True)
class MemoryBenchmark:
    """Sizes: environments, smallest first; control steps a round of the largest; rounds; threads (all if None)."""

    sizes: tuple[int, ...] = (256, 1024, 4096)
    steps: int = 2
    rounds: int = 20
    threads: int | None = None

    def run(self) -> Iterator[Row]:
        """A row of speed a size, then one of memory a size."""
        threads = self.threads or machine.cores()
        used = {size: footprint(size, threads) for size in self.sizes}
        with ExitStack() as stack:
            contestants = {}
            for size in self.sizes:
                env = stack.enter_context(closing(make_env(size, threads)))
                targets = Targets(env, self.steps * self.sizes[-1] // size)
                contestants[str(size)] = partial(advance, env, targets.draw())
            seconds = take_turns(contestants, self.rounds)
        smallest, work = str(self.sizes[0]), self.steps * self.sizes[-1]
        rate = {name: float(work / np.median(taken)) for name, taken in seconds.items()}
        for size in self.sizes[1:]:
            yield Row(
                f"{size} environments to {smallest}, speed",
                rate[str(size)],
                rate[smallest],
                "control steps/s",
                rate_ratio(seconds[str(size)], seconds[smallest]),
                Aim(_STILL),
                f"{threads} threads, {self.rounds} rounds of {work} environment steps",
            )
        density = {size: size * 1e9 / max(1, used[size]) for size in self.sizes}
        for size in self.sizes[1:]:
            yield Row(
                f"{size} environments to {smallest}, in a gigabyte",
                density[size],
                density[self.sizes[0]],
                "1/GB",
                Spread.of([density[size] / density[self.sizes[0]]]),
                None,
                f"{used[size] / size / 1e6:.2f} MB an environment",
            )
