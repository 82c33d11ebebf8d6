"""Distributions by their inverse cumulative function: one uniform number in [0, 1) gives one value.

Drawing by inversion lets one stream of uniform numbers, fixed by (seed, environment, episode), decide a whole
episode, and lets a range be widened without disturbing any other parameter's draw.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from contract import codec

Array = NDArray[np.float64]

MOST_VALUES = 10_000  # of an empirical distribution: they are written into each bundle


class Distribution(Protocol):
    """A distribution of one number."""

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest value."""
        ...

    def quantile(self, u: Array) -> Array:
        """Value whose cumulative probability is `u` in [0, 1], element by element."""
        ...

    def describe(self) -> dict[str, object]:
        """Kind and parameters, as `parse` takes them."""
        ...

    def widened(self, factor: float) -> "Distribution":
        """`factor` times as wide about its centre.

        A lower bound that is not negative falls at most by `factor`, so that masses and intervals stay what they are.
        """
        ...


class Adjustable(Distribution, Protocol):
    """A distribution whose range can be moved while it is in use."""

    def within(self, low: float, high: float) -> "Adjustable":
        """The same kind of distribution on another range; ValueError where that is none."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Equally likely between `low` and `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"Uniform needs finite low <= high, got {self.low} and {self.high}")

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def quantile(self, u: Array) -> Array:
        return self.low + (self.high - self.low) * u

    def describe(self) -> dict[str, object]:
        return {"kind": "uniform", "low": self.low, "high": self.high}

    def widened(self, factor: float) -> "Uniform":
        return Uniform(*_wider(self.low, self.high, factor))

    def within(self, low: float, high: float) -> "Uniform":
        return Uniform(low, high)


@dataclass(frozen=True)
class LogUniform:
    """Logarithm equally likely between those of `low` and `high`: for factors and scales."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0.0 < self.low <= self.high < math.inf):
            raise ValueError(f"LogUniform needs 0 < low <= high, got {self.low} and {self.high}")

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def quantile(self, u: Array) -> Array:
        return np.asarray(self.low * np.exp(u * math.log(self.high / self.low)))

    def describe(self) -> dict[str, object]:
        return {"kind": "log_uniform", "low": self.low, "high": self.high}

    def widened(self, factor: float) -> "LogUniform":
        """Widened in the logarithm."""
        spread = (self.high / self.low) ** (0.5 * (factor - 1.0))
        return LogUniform(self.low / spread, self.high * spread)

    def within(self, low: float, high: float) -> "LogUniform":
        return LogUniform(low, high)


@dataclass(frozen=True)
class TruncatedNormal:
    """Normal with `mean` and `std`, given that it lies between `low` and `high`."""

    mean: float
    std: float
    low: float
    high: float

    def __post_init__(self) -> None:
        given = (self.mean, self.std, self.low, self.high)
        if not (all(map(math.isfinite, given)) and self.std > 0.0 and self.low < self.high):
            raise ValueError(
                "TruncatedNormal needs finite numbers, std > 0 and low < high, got "
                f"mean {self.mean}, std {self.std}, low {self.low} and high {self.high}"
            )
        below, above = self._tails()
        if not below < above:
            raise ValueError(
                f"TruncatedNormal: nothing of a normal with mean {self.mean} and std {self.std} lies between "
                f"{self.low} and {self.high}"
            )

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def _side(self) -> float:
        """-1 where the range lies above the mean: probabilities near 1 have no digits left, those near 0 have all."""
        return -1.0 if self.low > self.mean else 1.0

    def _tails(self) -> tuple[float, float]:
        """Probabilities below both ends, mirrored about the mean where `_side` is -1."""
        ends = sorted(self._side * (end - self.mean) / self.std for end in (self.low, self.high))
        below, above = (0.5 * math.erfc(-end / math.sqrt(2.0)) for end in ends)
        return below, above

    def quantile(self, u: Array) -> Array:
        below, above = self._tails()
        u = np.asarray(u, np.float64)
        share = below + (above - below) * (u if self._side > 0.0 else 1.0 - u)
        z = self._side * torch.special.ndtri(torch.as_tensor(share, device="cpu")).numpy()
        return np.clip(self.mean + self.std * z, self.low, self.high)

    def describe(self) -> dict[str, object]:
        return {"kind": "truncated_normal", "mean": self.mean, "std": self.std, "low": self.low, "high": self.high}

    def widened(self, factor: float) -> "TruncatedNormal":
        low, high = _wider(self.low, self.high, factor)
        return replace(self, std=factor * self.std, low=low, high=high)

    def within(self, low: float, high: float) -> "TruncatedNormal":
        return replace(self, low=low, high=high)


@dataclass(frozen=True)
class Categorical:
    """One of `values`, each as likely as its weight says: `weights` add up to anything above zero."""

    values: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values or len(self.values) != len(self.weights):
            raise ValueError(
                f"Categorical needs as many weights as values, one at least, got {len(self.values)} values and "
                f"{len(self.weights)} weights"
            )
        sound = all(map(math.isfinite, (*self.values, *self.weights))) and min(self.weights) >= 0.0
        if not (sound and sum(self.weights) > 0.0):
            raise ValueError("Categorical needs finite values and weights, no weight below 0, and one above it")

    @property
    def support(self) -> tuple[float, float]:
        possible = [value for value, weight in zip(self.values, self.weights, strict=True) if weight > 0.0]
        return min(possible), max(possible)

    def quantile(self, u: Array) -> Array:
        """In the order of the values, smallest first."""
        order = sorted(range(len(self.values)), key=lambda i: self.values[i])
        order = [i for i in order if self.weights[i] > 0.0]
        upper = np.cumsum([self.weights[i] for i in order]) / sum(self.weights)
        column = np.minimum(np.searchsorted(upper, u, side="right"), len(order) - 1)
        return np.array([self.values[i] for i in order], np.float64)[column]

    def describe(self) -> dict[str, object]:
        return {"kind": "categorical", "values": list(self.values), "weights": list(self.weights)}

    def widened(self, factor: float) -> "Categorical":
        """Itself: there is nothing between or beyond categories."""
        return self


@dataclass(frozen=True)
class Empirical:
    """One of the values that were measured, each equally likely."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= MOST_VALUES:
            raise ValueError(f"Empirical needs 1 to {MOST_VALUES} values, got {len(self.values)}: thin them out")
        if not all(map(math.isfinite, self.values)):
            raise ValueError("Empirical needs finite values")
        object.__setattr__(self, "values", tuple(sorted(self.values)))

    @property
    def support(self) -> tuple[float, float]:
        return self.values[0], self.values[-1]

    def quantile(self, u: Array) -> Array:
        rank = np.floor(np.asarray(u) * len(self.values)).astype(np.int64)
        return np.array(self.values, np.float64)[np.minimum(rank, len(self.values) - 1)]

    def describe(self) -> dict[str, object]:
        return {"kind": "empirical", "values": list(self.values)}

    def widened(self, factor: float) -> "Empirical":
        """Each value `factor` times as far from the middle of the range."""
        values = np.array(self.values)
        centre = 0.5 * (values[0] + values[-1])
        wide = centre + factor * (values - centre)
        return Empirical(tuple((np.maximum(wide, values / factor) if values[0] >= 0.0 else wide).tolist()))


@dataclass(frozen=True)
class Constant:
    """Always `value`."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"Constant needs a finite value, got {self.value}")

    @property
    def support(self) -> tuple[float, float]:
        return self.value, self.value

    def quantile(self, u: Array) -> Array:
        return np.full_like(u, self.value)

    def describe(self) -> dict[str, object]:
        return {"kind": "constant", "value": self.value}

    def widened(self, factor: float) -> "Constant":
        return self


KINDS: dict[str, type[Distribution]] = {
    "constant": Constant,
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "truncated_normal": TruncatedNormal,
    "categorical": Categorical,
    "empirical": Empirical,
}


def parse(described: object, where: str) -> Distribution:
    """Inverse of `Distribution.describe`.

    Raises:
        FieldError: it names the field, which it looks for under `where`.
    """
    if not isinstance(described, dict):
        codec.fail(where, f"must be an object, got {codec.show(described)}")
    if "kind" not in described:
        codec.fail(f"{where}.kind", f"missing; one of {', '.join(KINDS)}")
    kind = described["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        codec.fail(f"{where}.kind", f"must be one of {', '.join(KINDS)}, got {codec.show(kind)}")
    parameters = {name: value for name, value in described.items() if name != "kind"}
    distribution: Distribution = codec.decode(KINDS[kind], parameters, where)
    return distribution


def _wider(low: float, high: float, factor: float) -> tuple[float, float]:
    centre, half = 0.5 * (low + high), 0.5 * (high - low)
    wide = centre - factor * half
    return max(wide, low / factor) if low >= 0.0 else wide, centre + factor * half
