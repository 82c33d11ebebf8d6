"""Draws the parameters of every episode, as a pure function of (seed, environment, episode)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.errors import UsageError
from domain_rand.spec import Per, Randomisation
from sim.engines.engine import Parameter


class EpisodeRandomiser:
    """Implements `sim.randomiser.Randomiser` for a `Randomisation`.

    The numbers of an episode come from a counter-based generator (Philox, Salmon et al. 2011) keyed by the seed and
    counting from (environment, episode): a recorded triple brings the same robot back, whatever happened before.
    """

    def __init__(self, randomisation: Randomisation, seed: int) -> None:
        self.randomisation = randomisation
        self.seed = seed
        self._columns: list[tuple[slice, int]] = []
        self._total = 0

    def bind(self, parameters: Mapping[str, Parameter]) -> None:
        self._columns, self._total = [], 0
        for term in self.randomisation.terms:
            if term.parameter not in parameters:
                raise UsageError(
                    f"randomisation: the environment has no parameter '{term.parameter}'; "
                    f"it has {', '.join(sorted(parameters))}"
                )
            size = parameters[term.parameter].size
            needed = 1 if term.per is Per.ROBOT else size
            self._columns.append((slice(self._total, self._total + needed), size))
            self._total += needed

    def draw(self, envs: np.ndarray, episodes: np.ndarray) -> dict[str, Tensor]:
        uniform = np.empty((len(envs), self._total))
        # One generator set back and forth: making a new one costs more than drawing from it.
        bits = np.random.Philox(key=self.seed)
        fresh, generator = bits.state, np.random.Generator(bits)
        for row, (env, episode) in enumerate(zip(envs.tolist(), episodes.tolist(), strict=True)):
            bits.state = {**fresh, "state": {**fresh["state"], "counter": np.array([0, 0, env, episode], np.uint64)}}
            uniform[row] = generator.random(self._total)
        drawn = {}
        for term, (columns, size) in zip(self.randomisation.terms, self._columns, strict=True):
            values = term.distribution.quantile(uniform[:, columns])
            values = np.broadcast_to(values, (len(envs), size))
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
