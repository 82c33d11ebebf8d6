"""Success rates with their uncertainty, and the margin: how far out a policy holds."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONFIDENCE = 0.95
"""Of the intervals of success rates."""

MARGIN_CONFIDENCE = 0.9
"""Of the intervals of margins."""

_DRAWS = 1000
_ROUNDING = 1e-9


def wilson(successes: Array, episodes: Array) -> tuple[Array, Array]:
    """Wilson's score interval of a success rate (...), two-sided with CONFIDENCE.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927), 209-212.
    """
    z = NormalDist().inv_cdf(0.5 + 0.5 * CONFIDENCE)
    n = np.asarray(episodes, np.float64)
    rate = np.asarray(successes, np.float64) / n
    centre = (rate + z * z / (2.0 * n)) / (1.0 + z * z / n)
    half = z / (1.0 + z * z / n) * np.sqrt(rate * (1.0 - rate) / n + (z / (2.0 * n)) ** 2)
    # Exactly 0 and 1 of none and all, which rounding misses.
    return np.where(rate == 0.0, 0.0, centre - half), np.where(rate == 1.0, 1.0, centre + half)


def falling(success: Array) -> Array:
    """The rates (..., L) that are closest in squares to `success` and nowhere rise, level by level outwards.

    By the min-max formula of isotonic regression, the least over a <= i of the largest over b >= i of the mean over
    a .. b (R. E. Barlow et al., "Statistical Inference under Order Restrictions", 1972).
    """
    levels = success.shape[-1]
    sums = np.concatenate([np.zeros((*success.shape[:-1], 1)), np.cumsum(success, axis=-1)], axis=-1)
    a, b = np.arange(levels)[:, None], np.arange(levels)[None, :]
    means = np.where(b >= a, (sums[..., None, 1:] - sums[..., :-1, None]) / np.maximum(b - a + 1, 1), -np.inf)
    # Column i of this has, for each a, the largest mean over the b from i on.
    largest = np.maximum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    fitted: Array = np.where(b >= a, largest, np.inf).min(axis=-2)
    return np.clip(fitted, 0.0, 1.0)


def holds_to(distances: Array, success: Array, share: float) -> Array:
    """How far out success stays at `share` or above.

    Takes success to fall with distance, which evens out the luck of few episodes, and a straight line between levels.

    Args:
        distances: (L,) of the levels from the middle of training, ascending from 0.
        success: (..., L) rates there.
        share: that is asked for.

    Returns:
        (...) the distance; 0 where the middle itself is below, infinite where no level is.
    """
    fitted = falling(success)
    below = fitted < share - _ROUNDING
    first = below.argmax(axis=-1)
    before = np.maximum(first - 1, 0)
    outer = np.take_along_axis(fitted, first[..., None], axis=-1)[..., 0]
    inner = np.take_along_axis(fitted, before[..., None], axis=-1)[..., 0]
    part = np.clip((inner - share) / np.where(inner > outer, inner - outer, 1.0), 0.0, 1.0)
    crossing = distances[before] + part * (distances[first] - distances[before])
    return np.where(below.any(axis=-1), np.where(first > 0, crossing, 0.0), np.inf)


def margin_interval(
    distances: Array, successes: NDArray[np.int64], episodes: int, share: float, seed: int
) -> tuple[float, float]:
    """What `holds_to` may be with MARGIN_CONFIDENCE, given how few episodes a level (L,) has.

    Each level's true rate is drawn from its posterior under Jeffreys' prior, a Beta(s + 1/2, n - s + 1/2).
    """
    rng = np.random.default_rng(seed)
    rates = rng.beta(successes + 0.5, episodes - successes + 0.5, size=(_DRAWS, len(distances)))
    tail = 0.5 * (1.0 - MARGIN_CONFIDENCE)
    # An order statistic: between two margins of which one is infinite nothing can be interpolated.
    low, high = np.quantile(holds_to(distances, rates, share), [tail, 1.0 - tail], method="inverted_cdf")
    return float(low), float(high)
