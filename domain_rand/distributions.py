"""Distributions by their inverse cumulative function: one uniform number in (0, 1) gives one value.

Drawing by inversion lets one stream of uniform numbers, fixed by (seed, environment, episode), decide a whole
episode, and lets a range be widened without disturbing any other parameter's draw.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Distribution(Protocol):
    """A distribution of one number."""

    def quantile(self, u: Array) -> Array:
        """Value whose cumulative probability is `u` in (0, 1), element by element."""
        ...

    def describe(self) -> dict[str, object]:
        """Kind and parameters, for the contract."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Equally likely between `low` and `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"Uniform needs finite low <= high, got {self.low} and {self.high}")

    def quantile(self, u: Array) -> Array:
        return self.low + (self.high - self.low) * u

    def describe(self) -> dict[str, object]:
        return {"kind": "uniform", "low": self.low, "high": self.high}


@dataclass(frozen=True)
class LogUniform:
    """Logarithm equally likely between those of `low` and `high`: for factors and scales."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0.0 < self.low <= self.high < math.inf):
            raise ValueError(f"LogUniform needs 0 < low <= high, got {self.low} and {self.high}")

    def quantile(self, u: Array) -> Array:
        return np.asarray(self.low * np.exp(u * math.log(self.high / self.low)))

    def describe(self) -> dict[str, object]:
        return {"kind": "log_uniform", "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Constant:
    """Always `value`."""

    value: float

    def quantile(self, u: Array) -> Array:
        return np.full_like(u, self.value)

    def describe(self) -> dict[str, object]:
        return {"kind": "constant", "value": self.value}
