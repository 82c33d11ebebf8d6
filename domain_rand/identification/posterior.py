"""What is known of the parameters after the search: a normal distribution about the best, and what it leaves open.

Residuals of a simulation that is a little wrong hang together in time, so that counting each sample as news would
promise far too much. Windows are taken as what is independent: with J_s, r_s of window s, H = sum J_s' J_s and
B = sum (J_s' r_s)(J_s' r_s)', the information is H B^-1 H (White, "Maximum likelihood estimation of misspecified
models", Econometrica 50 (1982); Liang, Zeger, Biometrika 73 (1986)), but never more than noise alone would leave,
H. The prior's is added to it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError
from domain_rand.identification.problem import PRIOR_STD, Problem

Array = NDArray[np.float64]

Z90 = 1.6449
"""Half the width of a normal's central 90 %, in standard deviations."""

HARDLY_NARROWER = 0.5
"""A posterior's standard deviation over its prior's above which the data are said to have told nothing."""

_LEAST_WINDOWS = 3  # for each number that is identified
_PART = 0.3  # of a direction's unit vector, from which on a parameter is named as part of it
_EDGE = 0.01  # of the prior's range


@dataclass(frozen=True, eq=False)
class Direction:
    """A combination of parameters, in units of their priors' ranges, that the log leaves open.

    Attributes:
        weights: of each parameter in it, by name, the large ones only; the largest is positive.
        ratio: standard deviation along it, after over before.
    """

    weights: dict[str, float]
    ratio: float

    @property
    def sentence(self) -> str:
        """For humans."""
        if len(self.weights) == 1:
            return f"{next(iter(self.weights))} hardly changes what was measured"
        up = [name for name, weight in self.weights.items() if weight > 0.0]
        down = [name for name, weight in self.weights.items() if weight < 0.0]
        if not down:
            return f"{_listed(up)} are confounded: raising them together hardly changes what was measured"
        return (
            f"{_listed([*self.weights])} are confounded: raising {_listed(up)} and lowering {_listed(down)}"
            " hardly changes what was measured"
        )


@dataclass(frozen=True, eq=False)
class Posterior:
    """Of P scaled numbers.

    Attributes:
        mean: (P,) the best ones.
        covariance: (P, P).
        names: of the numbers.
        ratio: (P,) standard deviation over that of the prior.
        open: what the log does not tell.
        at_edge: (P,) bool, whether the best is at the end of the prior's range.
        misfit: root mean square of the white residuals: 1 where noise alone is left.
    """

    names: tuple[str, ...]
    mean: Array
    covariance: Array
    ratio: Array
    open: tuple[Direction, ...]
    at_edge: NDArray[np.bool_]
    misfit: float

    @property
    def std(self) -> Array:
        """(P,)"""
        return np.sqrt(np.diag(self.covariance))

    @property
    def identified(self) -> NDArray[np.bool_]:
        """(P,) bool: known much better than before, and no part of what is open.

        The second says more where many are confounded: each alone then looks as if it were known.
        """
        part_of = {name for direction in self.open for name in direction.weights}
        return (self.ratio <= HARDLY_NARROWER) & np.array([name not in part_of for name in self.names])

    @property
    def interval(self) -> tuple[Array, Array]:
        """Lower and upper end (P,) of 90 %, within the prior's range."""
        half = Z90 * self.std
        return np.clip(self.mean - half, 0.0, 1.0), np.clip(self.mean + half, 0.0, 1.0)


def require_windows(windows: int, size: int) -> None:
    """UsageError unless there are windows enough to tell how sure one may be of `size` numbers."""
    if windows < _LEAST_WINDOWS * size + 2:
        raise UsageError(
            f"{windows} windows are too few to identify {size} numbers: {_LEAST_WINDOWS * size + 2} at least; give a"
            " longer log, shorter windows (--window), or fewer parameters"
        )


def posterior(problem: Problem, x: Array) -> Posterior:
    """The posterior about the best scaled numbers `x` (P,).

    Raises:
        UsageError: too few windows.
    """
    residuals, slopes = problem.jacobian(x)
    require_windows(len(residuals), problem.size)
    information = _information(residuals, slopes)
    covariance = np.linalg.inv(information + np.eye(problem.size) / PRIOR_STD**2)
    ratio = np.sqrt(np.diag(covariance)) / PRIOR_STD
    at_edge = (x < _EDGE) | (x > 1.0 - _EDGE)
    misfit = float(np.sqrt((residuals**2).mean()))
    names = problem.names
    return Posterior(names, x, covariance, ratio, _open(information, names), at_edge, misfit)


def _information(residuals: Array, slopes: Array) -> Array:
    """(P, P) of the log alone."""
    size, windows = len(slopes), len(residuals)
    bread = np.einsum("psr,qsr->pq", slopes, slopes, optimize=True)
    scores = np.einsum("psr,sr->sp", slopes, residuals, optimize=True)
    value, vector = np.linalg.eigh(bread)
    # In units in which noise alone would make the scores of unit variance; what changes nothing is left out.
    kept = value > 1e-9 * max(value[-1], 1.0)
    white = vector[:, kept] / np.sqrt(value[kept])
    scores = (scores - scores.mean(axis=0)) @ white
    spread, turn = np.linalg.eigh(windows / (windows - size) * scores.T @ scores)
    # Few windows may agree by chance: nobody is surer than noise and misfit of that size allow.
    spread = np.maximum(spread, max(1.0, float((residuals**2).mean())))
    root = (vector[:, kept] * np.sqrt(value[kept])) @ turn / np.sqrt(spread)
    return np.asarray(root @ root.T)


def _open(information: Array, names: tuple[str, ...]) -> tuple[Direction, ...]:
    value, vector = np.linalg.eigh(0.5 * (information + information.T))
    ratio = 1.0 / np.sqrt(1.0 + np.maximum(value, 0.0) * PRIOR_STD**2)
    found = []
    for i in np.flatnonzero(ratio > HARDLY_NARROWER):
        parts = vector[:, i] * np.sign(vector[np.abs(vector[:, i]).argmax(), i])
        order = np.argsort(-np.abs(parts))
        found.append(Direction({names[j]: float(parts[j]) for j in order if abs(parts[j]) >= _PART}, float(ratio[i])))
    return tuple(sorted(found, key=lambda direction: -direction.ratio))


def _listed(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
