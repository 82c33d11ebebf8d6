"""What is randomised: one typed list of terms, each a parameter, a distribution, and what shares a number."""

from dataclasses import dataclass, replace
from enum import Enum

from domain_rand.distributions import Constant, Distribution, LogUniform, Uniform


class Per(Enum):
    """What shares one number."""

    ROBOT = "robot"  # all components of the parameter: every joint alike
    COMPONENT = "component"  # none: every joint, or axis, its own


@dataclass(frozen=True)
class Term:
    """One randomised parameter of an episode.

    Attributes:
        parameter: name of a parameter of the environment, which fixes its size and SI unit.
        distribution: of each number.
        per: what shares one number.
    """

    parameter: str
    distribution: Distribution
    per: Per = Per.COMPONENT


@dataclass(frozen=True)
class Randomisation:
    """All that is randomised. An empty one leaves every parameter at its nominal value."""

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        names = [term.parameter for term in self.terms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"randomisation: parameter '{name}' has more than one term")

    def describe(self) -> dict[str, dict[str, object]]:
        """For the contract: parameter -> distribution and what shares a number."""
        return {t.parameter: {**t.distribution.describe(), "per": t.per.value} for t in self.terms}

    def widened(self, factor: float) -> "Randomisation":
        """Every range `factor` times as wide about its centre, as a held-out test.

        A lower bound that is not negative falls at most by `factor`, so that masses and intervals stay what they are.
        Log-uniform ranges widen in the logarithm; constants stay.
        """
        return Randomisation(tuple(replace(t, distribution=_widen(t.distribution, factor)) for t in self.terms))


def _widen(distribution: Distribution, factor: float) -> Distribution:
    if isinstance(distribution, Uniform):
        centre, half = (
            0.5 * (distribution.low + distribution.high),
            0.5 * (distribution.high - distribution.low),
        )
        low = centre - factor * half
        low = max(low, distribution.low / factor) if distribution.low >= 0.0 else low
        return Uniform(low, centre + factor * half)
    if isinstance(distribution, LogUniform):
        spread = (distribution.high / distribution.low) ** (0.5 * (factor - 1.0))
        return LogUniform(distribution.low / spread, distribution.high * spread)
    if isinstance(distribution, Constant):
        return distribution
    raise TypeError(f"no rule to widen {type(distribution).__name__}")
