"""The best parameters: CMA-ES over the whole prior, then Gauss-Newton steps to the bottom.

CMA-ES (Hansen, Ostermeier, "Completely derandomized self-adaptation in evolution strategies", Evolutionary Computation
9 (2001)) as package `cmaes` has it: contacts and saturation make the loss rugged far from its minimum. Near it the loss
is smooth, and a few steps of Levenberg and Marquardt replace hundreds of candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain_rand.identification.problem import PRIOR_STD, Problem

Array = NDArray[np.float64]

_SIGMA = 0.25  # of the first generation
_DAMPING = (0.0, 0.1, 1.0, 10.0)  # of the steps that are tried at once, times the diagonal of J'J


@dataclass(frozen=True)
class Effort:
    """How long to search.

    Attributes:
        generations: of CMA-ES, at most.
        windows: of the log that CMA-ES looks at, spread over it; all at the bottom.
        steps: of Gauss-Newton, at most.
        tolerance: of a scaled parameter: once CMA-ES is about so sure, or a step no longer, it ends.
    """

    generations: int = 40
    windows: int = 32
    steps: int = 6
    tolerance: float = 0.02


def search(
    problem: Problem, effort: Effort, seed: int, progress: Callable[[str, int, float], None] = lambda *_: None
) -> Array:
    """The scaled numbers (P,) at which residuals and prior together are smallest.

    Args:
        problem: whose.
        effort: how long.
        seed: of CMA-ES.
        progress: told the phase, the round in it, and the mean square of the residuals.
    """
    from cmaes import CMA

    size = problem.size
    middle = np.full(size, 0.5)
    spread = problem.windows
    if len(spread) > effort.windows:
        spread = np.unique(np.linspace(0, len(spread) - 1, effort.windows).astype(np.int64))
    problem.linearise(middle, spread)
    # A step-size that leaves the box is cut by resampling.
    optimiser = CMA(middle, _SIGMA, bounds=np.tile([0.0, 1.0], (size, 1)), seed=seed)
    best, least = middle, np.inf
    for generation in range(effort.generations):
        x = np.stack([optimiser.ask() for _ in range(optimiser.population_size)])
        residuals = problem.residuals(x, spread)
        loss = _loss(residuals, x)
        optimiser.tell(list(zip(x, loss.tolist(), strict=True)))
        if loss.min() < least:
            best, least = x[loss.argmin()], float(loss.min())
        progress("search", generation + 1, least / residuals[0].size)
        if optimiser.should_stop() or x.std(axis=0).max() < effort.tolerance:
            break
    return _descend(problem, best, effort, progress)


def _descend(problem: Problem, x: Array, effort: Effort, progress: Callable[[str, int, float], None]) -> Array:
    problem.linearise(x, problem.windows)
    for step in range(effort.steps):
        residuals, slopes = problem.jacobian(x)
        here = float(_loss(residuals[None], x[None])[0])
        information = np.einsum("psr,qsr->pq", slopes, slopes, optimize=True)
        gradient = np.einsum("psr,sr->p", slopes, residuals, optimize=True) + (x - 0.5) / PRIOR_STD**2
        curvature = information + np.eye(problem.size) / PRIOR_STD**2
        damped = [curvature + damping * np.diag(np.diag(information)) for damping in _DAMPING]
        tried = np.clip(np.stack([x - np.linalg.solve(matrix, gradient) for matrix in damped]), 0.0, 1.0)
        found = problem.residuals(tried)
        losses = _loss(found, tried)
        if not losses.min() < here:
            break
        moved = np.abs(tried[losses.argmin()] - x).max()
        x = tried[losses.argmin()]
        progress("descent", step + 1, float(losses.min()) / residuals.size)
        if moved < 0.1 * effort.tolerance:
            break
    return x


def _loss(residuals: Array, x: Array) -> Array:
    """(C,) minus two times the logarithm of the posterior's density, up to a constant."""
    return np.asarray((residuals**2).sum(axis=(1, 2)) + (((x - 0.5) / PRIOR_STD) ** 2).sum(axis=1))
