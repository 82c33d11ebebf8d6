"""Values of some terms for many environments at once, each term from a stream of its own."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError
from domain_rand import philox
from domain_rand.distributions import Distribution
from domain_rand.spec import At, Per, Term
from sim.engines.engine import Parameter

Array = NDArray[np.float64]


class Draws:
    """Draws from the streams of `terms`.

    Raises:
        UsageError: a term is drawn per leg, and its parameter does not belong to legs.
    """

    def __init__(self, terms: Sequence[Term], parameters: Mapping[str, Parameter], seed: int) -> None:
        self.terms = tuple(terms)
        self._columns = [_columns(term, parameters[term.parameter]) for term in self.terms]
        self._slices: list[slice] = []
        keys: list[tuple[int, int]] = []
        blocks: list[int] = []
        fixed: list[bool] = []
        for term, columns in zip(self.terms, self._columns, strict=True):
            start, numbers = philox.BLOCK * len(blocks), int(columns.max(initial=-1)) + 1
            self._slices.append(slice(start, start + numbers))
            for block in range(-(-numbers // philox.BLOCK)):
                keys.append(stream(seed, term.parameter))
                blocks.append(block)
                fixed.append(term.moment is At.START_UP)
        self._keys = np.array(keys, np.uint64).reshape(-1, 2)
        self._blocks, self._fixed = np.array(blocks, np.uint64), np.array(fixed, bool)

    def values(
        self, distributions: Mapping[str, Distribution], envs: np.ndarray, episodes: np.ndarray, index: np.ndarray
    ) -> dict[str, Array]:
        """(n, size) of each parameter, for draw number `index` (n,) in `episodes` (n,) of the environments `envs` (n,).

        What is drawn at start-up is the same in every episode.
        """
        counters = np.empty((len(envs), len(self._blocks), 4), np.uint64)
        counters[..., 0] = self._blocks
        counters[..., 1] = np.where(self._fixed, 0, index[:, None])
        counters[..., 2] = envs[:, None]
        counters[..., 3] = np.where(self._fixed, 0, episodes[:, None])
        uniform = philox.uniform(self._keys, counters).reshape(len(envs), -1)
        return {
            term.parameter: distributions[term.parameter].quantile(uniform[:, where])[:, columns]
            for term, where, columns in zip(self.terms, self._slices, self._columns, strict=True)
        }


def stream(seed: int, name: str) -> tuple[int, int]:
    """Key of the stream of that name."""
    return seed, zlib.crc32(name.encode())


def _columns(term: Term, parameter: Parameter) -> NDArray[np.int64]:
    """(size,) which of a term's numbers each component of the parameter gets."""
    if term.per is Per.COMPONENT:
        return np.arange(parameter.size)
    if term.per is Per.ROBOT:
        return np.zeros(parameter.size, np.int64)
    if not any(parameter.legs):
        raise UsageError(f"randomisation: {term.parameter}: per leg, but it does not belong to legs that are known")
    names: dict[str, int] = {}
    # What is on no leg has a number of its own.
    groups = [leg or f"component {i}" for i, leg in enumerate(parameter.legs)]
    return np.array([names.setdefault(group, len(names)) for group in groups])
