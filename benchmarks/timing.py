"""Fair comparison on a machine that is never quite alone: contestants take turns, and each turn gives a ratio."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Array | Sequence[float]) -> "Spread":
        """Of at least one value."""
        low, median, high = np.percentile(np.asarray(values, np.float64), [25, 50, 75]).tolist()
        return Spread(median, low, high)


def take_turns(
    contestants: Mapping[str, Callable[[], None]], rounds: int, prepare: Callable[[], None] = lambda: None
) -> dict[str, Array]:
    """Run each contestant once a round and time it; one round more comes first, unmeasured, to warm up.

    Every second round runs backwards, so that neither what a contestant leaves in the caches nor a drift of the
    clock rate favours one of them.

    Args:
        contestants: by name; each does the same amount of work in every round.
        rounds: measured rounds.
        prepare: called before each round, not measured.

    Returns:
        Seconds of each contestant in each round, (rounds,).
    """
    seconds = {name: np.zeros(rounds) for name in contestants}
    order = list(contestants)
    for index in range(-1, rounds):
        prepare()
        for name in order:
            start = time.perf_counter()
            contestants[name]()
            if index >= 0:
                seconds[name][index] = time.perf_counter() - start
        order.reverse()
    return seconds


def rate_ratio(ours: Array, other: Array) -> Spread:
    """Our rate over the other's, round by round, from the seconds that both took for the same work."""
    return Spread.of(other / ours)
