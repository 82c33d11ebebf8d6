"""From what many robots did to thresholds that keep a promise: at most so many false trips an hour.

A block is one episode of one robot, all blocks drawn independently. Of each block and row the largest debounced figure
is kept: the largest value that the figure exceeded for long enough to trip, so that a row trips in a block exactly if
its threshold is below. Nothing is assumed about how figures are distributed. A threshold that k of B blocks exceed has
a probability to be exceeded that is at most p, with a confidence of one minus the binomial distribution function at k
(S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Ann. Math. Statist. 12, 1941), and a rate r
of first trips in blocks of L hours means p = 1 - exp(-r L).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
_HUGE = 1e30  # stands for infinity where figures are subtracted
_LEAST_SPREAD = 1e-9  # for figures that never change


def block_maxima(figures: Array, counted: NDArray[np.bool_], samples: int) -> Array:
    """The largest figure that was exceeded for `samples` counted samples in a row: (T, N), (T, N) to (N,).

    NaN exceeds everything. -inf where there were never so many counted samples.
    """
    if len(figures) < samples:
        return np.full(figures.shape[1], -np.inf)
    values = np.where(counted, np.where(np.isnan(figures), np.inf, figures), -np.inf)
    lasting = np.lib.stride_tricks.sliding_window_view(values, samples, axis=0).min(axis=-1)
    largest: Array = lasting.max(axis=0)
    return largest


def blocks_needed(rate: float, block_hours: float) -> float:
    """How many blocks it takes to promise `rate` (1/h) at all: with none of them tripping."""
    return -math.log(1.0 - CONFIDENCE) / rate / block_hours


def trips_permitted(rate: float, blocks: int, block_hours: float) -> int:
    """How many of the blocks may trip so that `rate` (1/h) is kept with CONFIDENCE; -1 where even none are too many."""
    probability = -math.expm1(-rate * block_hours)
    permitted = -1
    while permitted < blocks - 1 and _binomial(permitted + 1, blocks, probability) <= 1.0 - CONFIDENCE:
        permitted += 1
    return permitted


def rate_bound(trips: int, blocks: int, block_hours: float) -> float:
    """Upper bound, with CONFIDENCE, on the rate of first trips (1/h) where `trips` of the blocks tripped."""
    if trips >= blocks:
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _binomial(trips, blocks, middle) > 1.0 - CONFIDENCE else (low, middle)
    return -math.log1p(-low) / block_hours


def _binomial(k: int, n: int, p: float) -> float:
    """Probability of at most k successes in n trials."""
    if p <= 0.0 or p >= 1.0:
        return 1.0 if p <= 0.0 or k >= n else 0.0
    terms = (
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k + 1)
    )
    return math.fsum(math.exp(term) for term in terms)


@dataclass(frozen=True)
class Choice:
    """Thresholds of R rows.

    Attributes:
        values: (R,) between floors and ceilings.
        promised: (R,) bool, whether the row is one of those that the promise is about; the others trip too often even
            at their ceiling, and stay there.
    """

    values: Array
    promised: NDArray[np.bool_]


def choose(pilot: Array, blocks: Array, floors: Array, ceilings: Array, permitted: int) -> Choice:
    """Thresholds of which at most `permitted` blocks exceed any.

    The pilot says how each row's figure scatters: how far its largest lies above its median. All thresholds then lie
    the same number of such spreads above the median, or at their floors where that is higher. That number is an order
    statistic of the other blocks, which the pilot knows nothing of.

    Args:
        pilot, blocks: (R, P) and (R, B) largest debounced figures.
        floors, ceilings: (R,) between which a threshold must lie.
        permitted: what `trips_permitted` gave for B blocks, from 0 on.
    """
    middle, largest = np.quantile(np.clip(pilot, -_HUGE, _HUGE), [0.5, 1.0], axis=1)
    spread = np.maximum(largest - middle, _LEAST_SPREAD)
    # How high the level must be for a row not to trip in a block: any will do below the floor, none above the ceiling.
    scores = (blocks - middle[:, None]) / spread[:, None]
    beyond = ~(blocks <= ceilings[:, None])
    scores = np.where(beyond, np.inf, np.where(blocks <= floors[:, None], -np.inf, scores))
    promised = np.ones(len(blocks), bool)
    values = ceilings.copy()
    while promised.any():
        level = np.sort(scores[promised].max(axis=0))[-1 - permitted]
        if level < np.inf:
            # Rounding must not put a threshold below the very figure that it was taken from.
            reached = np.where(scores <= level, blocks, -np.inf).max(axis=1)
            values[promised] = np.minimum(np.maximum(middle + level * spread, reached), ceilings)[promised]
            break
        promised[np.argmax(np.where(promised, beyond.sum(axis=1), -1))] = False
    return Choice(np.maximum(values, floors), promised)
