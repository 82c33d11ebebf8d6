"""All parameters at once: Morris' elementary effects, which rank what breaks a policy.

M. D. Morris, "Factorial Sampling Plans for Preliminary Computational Experiments", Technometrics 33 (1991), 161-174;
the mean of absolute effects is Campolongo's (2007). From SALib.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHANCE = "(chance)"
"""A parameter that does nothing, and is ranked with the others: what the luck of few episodes looks like."""

_LEVELS = 4  # of each parameter's range
_STEP = 2.0 / 3.0  # of that range, which is how far four levels let a parameter go at once


@dataclass(frozen=True)
class Effect:
    """What one parameter does to the share of failures, as a change from one end of its range to the other.

    Attributes:
        mu_star: mean absolute elementary effect.
        confidence: half width of its 95 % interval.
        mu: mean effect; above 0 where more of the parameter is worse.
        sigma: standard deviation of the effects: large where it depends on the other parameters, or is not a line.
    """

    parameter: str
    mu_star: float
    confidence: float
    mu: float
    sigma: float


def design(parameters: Sequence[str], trajectories: int, seed: int) -> Array:
    """Points of the unit cube (trajectories * (d + 2), d + 1): a column a parameter, and last that of `CHANCE`.

    Trajectories follow each other, d + 2 points each, of which each differs from the one before in one column.
    """
    from SALib.sample import morris

    points: Array = morris.sample(_problem(parameters), trajectories, num_levels=_LEVELS, seed=seed)
    return points


def effects(parameters: Sequence[str], points: Array, failures: Array, seed: int) -> tuple[Effect, ...]:
    """Effects of the parameters and of `CHANCE`, largest first.

    Args:
        parameters: as `design` got them.
        points: what it gave.
        failures: (len(points),) what came out there.
        seed: of the bootstrap for the intervals.
    """
    from SALib.analyze import morris

    found = morris.analyze(
        _problem(parameters), points, np.asarray(failures, np.float64), num_levels=_LEVELS, seed=seed
    )
    columns = ("mu_star", "mu_star_conf", "mu", "sigma")
    rows = zip([*parameters, CHANCE], *(np.asarray(found[column], np.float64) for column in columns), strict=True)
    return tuple(
        sorted((Effect(name, *map(float, figures)) for name, *figures in rows), key=lambda effect: -effect.mu_star)
    )


def floor(chance: Effect, trajectories: int, repeats: int) -> float:
    """What the effect of a parameter that does nothing may well be, with about 95 % confidence.

    That of `CHANCE` with its interval, and where luck never struck it, the rule of three: it may strike in three of as
    many trajectories, with one episode of `repeats` that ends otherwise.
    """
    return max(chance.mu_star + chance.confidence, 3.0 / trajectories / (repeats * _STEP))


def _problem(parameters: Sequence[str]) -> dict[str, Any]:
    names = [*parameters, CHANCE]
    return {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}
