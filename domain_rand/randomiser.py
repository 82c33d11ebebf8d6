"""Draws the parameters of every episode, as a pure function of (seed, environment, episode)."""

import zlib
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.errors import UsageError
from domain_rand.spec import Per, Randomisation, Term
from sim.engines.engine import Parameter


class Missing(Enum):
    """What to do about a term whose parameter the environment does not have."""

    REFUSED = "refused"
    LEFT_ALONE = "left alone"


class EpisodeRandomiser:
    """Implements `sim.randomiser.Randomiser` for a `Randomisation`.

    The numbers of an episode come from a counter-based generator (Philox, Salmon et al. 2011) keyed by the seed and the
    parameter's name and counting from (environment, episode): a recorded triple brings the same robot back, whatever
    happened before, and a parameter is drawn alike whatever else is randomised.

    Args:
        randomisation: what is drawn.
        seed: of the draws.
        missing: training refuses a term that the engine cannot set; a comparison of engines leaves it alone and says
            so.

    Attributes:
        missing: once bound, names of the terms that are left alone.
    """

    def __init__(self, randomisation: Randomisation, seed: int, missing: Missing = Missing.REFUSED) -> None:
        self.randomisation = randomisation
        self.seed = seed
        self.missing: tuple[str, ...] = ()
        self._refuses = missing is Missing.REFUSED
        self._sizes: list[tuple[Term, int]] = []

    def bind(self, parameters: Mapping[str, Parameter]) -> None:
        terms = self.randomisation.terms
        self.missing = tuple(term.parameter for term in terms if term.parameter not in parameters)
        if self.missing and self._refuses:
            raise UsageError(
                f"randomisation: the environment has no parameter '{self.missing[0]}'; "
                f"it has {', '.join(sorted(parameters))}"
            )
        self._sizes = [(term, parameters[term.parameter].size) for term in terms if term.parameter in parameters]

    def draw(self, envs: np.ndarray, episodes: np.ndarray) -> dict[str, Tensor]:
        # One generator set back and forth: making a new one costs more than drawing from it.
        bits = np.random.Philox(0)
        fresh, generator = bits.state, np.random.Generator(bits)
        counters = [np.array([0, 0, env, episode], np.uint64) for env, episode in zip(envs, episodes, strict=True)]
        drawn = {}
        for term, size in self._sizes:
            key = np.array([self.seed, zlib.crc32(term.parameter.encode())], np.uint64)
            uniform = np.empty((len(counters), 1 if term.per is Per.ROBOT else size))
            for row, counter in zip(uniform, counters, strict=True):
                bits.state = {**fresh, "state": {"counter": counter, "key": key}}
                generator.random(out=row)
            values = np.broadcast_to(term.distribution.quantile(uniform), (len(counters), size))
            drawn[term.parameter] = torch.from_numpy(values.astype(np.float32))
        return drawn

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"this randomiser has no state, the checkpoint holds {sorted(state)}")


class ReplayRandomiser:
    """Gives recorded draws back: row i of each parameter goes to environment i, in every episode."""

    def __init__(self, draws: Mapping[str, Tensor]) -> None:
        self._draws = dict(draws)

    def bind(self, parameters: Mapping[str, Parameter]) -> None:
        for name, values in self._draws.items():
            if name not in parameters:
                raise UsageError(f"replay: the environment has no parameter '{name}'")
            if values.shape[1] != parameters[name].size:
                raise UsageError(
                    f"replay: parameter '{name}' has {values.shape[1]} numbers, the environment {parameters[name].size}"
                )

    def draw(self, envs: np.ndarray, episodes: np.ndarray) -> dict[str, Tensor]:
        for name, values in self._draws.items():
            if envs.max(initial=-1) >= len(values):
                raise UsageError(
                    f"replay: parameter '{name}' has {len(values)} rows, environment {envs.max()} needs one"
                )
        return {name: values[torch.from_numpy(envs)] for name, values in self._draws.items()}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"a replay has no state, the checkpoint holds {sorted(state)}")
