"""Draws the parameters of every episode, as a pure function of (seed, environment, episode)."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.errors import UsageError
from domain_rand.distributions import Distribution
from domain_rand.draws import Draws
from domain_rand.schedule import Schedule
from domain_rand.spec import At, Every, Randomisation
from sim.engines.engine import Parameter
from sim.randomiser import Change


class Missing(Enum):
    """What to do about a term whose parameter the environment does not have."""

    REFUSED = "refused"
    LEFT_ALONE = "left alone"


class EpisodeRandomiser:
    """Implements `sim.randomiser.Randomiser` for a `Randomisation`.

    The numbers of an episode come from a counter-based generator (Philox, Salmon et al. 2011) keyed by the seed and the
    parameter's name and counting from (environment, episode, how many times it was drawn before in that episode): a
    recorded triple brings the same robot back, whatever happened before, and a parameter is drawn alike whatever else
    is randomised.

    Ranges may be moved while it is in use, see `set_range`; they are its state.

    Args:
        randomisation: what is drawn.
        seed: of the draws.
        missing: training refuses a term that the engine cannot set; a comparison of engines leaves it alone and says
            so.

    Attributes:
        missing: once bound, names of the terms that are left alone.
        start_up: names of the parameters that an environment keeps for the whole run.
        changes_within_episodes: whether `changes` ever has something to say.
    """

    def __init__(self, randomisation: Randomisation, seed: int, missing: Missing = Missing.REFUSED) -> None:
        self.randomisation = randomisation
        self.seed = seed
        self.missing: tuple[str, ...] = ()
        self.start_up: frozenset[str] = frozenset()
        self.changes_within_episodes = False
        self._refuses = missing is Missing.REFUSED
        self._distributions = {term.parameter: term.distribution for term in randomisation.terms}
        self._original = dict(self._distributions)
        self._all = self._steps = Draws((), {}, seed)
        self._schedules: tuple[Schedule, ...] = ()

    def bind(self, parameters: Mapping[str, Parameter]) -> None:
        terms = self.randomisation.terms
        self.missing = tuple(term.parameter for term in terms if term.parameter not in parameters)
        if self.missing and self._refuses:
            raise UsageError(
                f"randomisation: the environment has no parameter '{self.missing[0]}'; "
                f"it has {', '.join(sorted(parameters))}"
            )
        known = tuple(term for term in terms if term.parameter in parameters)
        self.start_up = frozenset(term.parameter for term in known if term.moment is At.START_UP)
        self._all = Draws(known, parameters, self.seed)
        self._steps = Draws(tuple(term for term in known if term.moment is At.STEP), parameters, self.seed)
        self._schedules = tuple(
            Schedule(term, parameters, self.seed) for term in known if isinstance(term.moment, Every)
        )
        self.changes_within_episodes = bool(self._schedules or self._steps.terms)

    def draw(self, envs: np.ndarray, episodes: np.ndarray) -> dict[str, Tensor]:
        return _tensors(self._all.values(self._distributions, envs, episodes, np.zeros_like(episodes)))

    def changes(self, envs: np.ndarray, episodes: np.ndarray, steps: np.ndarray, period: float) -> list[Change]:
        found = []
        if self._steps.terms:
            every = np.arange(len(envs))
            drawn = _tensors(self._steps.values(self._distributions, envs, episodes, steps))
            found.append(Change(torch.from_numpy(every), drawn))
        for schedule in self._schedules:
            rows, times = schedule.due(envs, episodes, steps, period)
            if len(rows):
                drawn = _tensors(schedule.values(self._distributions, envs[rows], episodes[rows], times))
                found.append(Change(torch.from_numpy(rows), drawn))
        return found

    # -- ranges -------------------------------------------------------------------------------------------------

    def distribution(self, parameter: str) -> Distribution:
        """What a parameter is drawn from now.

        Raises:
            UsageError: it is not randomised.
        """
        if parameter not in self._distributions:
            raise UsageError(f"randomisation: parameter '{parameter}' is not randomised")
        return self._distributions[parameter]

    def set_range(self, parameter: str, low: float, high: float) -> None:
        """Draw a parameter from the same kind of distribution on another range, from the next draw on.

        Raises:
            UsageError: it is not randomised, from no distribution with a range that can be moved, or that is no range.
        """
        distribution = self.distribution(parameter)
        within = getattr(distribution, "within", None)
        if within is None:
            raise UsageError(f"randomisation: {parameter}: a {type(distribution).__name__} has no range to move")
        try:
            self._distributions[parameter] = within(low, high)
        except ValueError as error:
            raise UsageError(f"randomisation: {parameter}: {error}") from None

    def present(self) -> Randomisation:
        """What is drawn now, with all ranges where they have been moved to."""
        terms = self.randomisation.terms
        return Randomisation(tuple(replace(t, distribution=self._distributions[t.parameter]) for t in terms))

    def state_dict(self) -> dict[str, Any]:
        moved = {n: list(d.support) for n, d in self._distributions.items() if d != self._original[n]}
        return {"ranges": moved} if moved else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        unknown = sorted(set(state) - {"ranges"})
        if unknown:
            raise ValueError(f"this randomiser has ranges for a state, the checkpoint holds {unknown}")
        self._distributions = dict(self._original)
        for parameter, (low, high) in state.get("ranges", {}).items():
            self.set_range(parameter, low, high)


class ReplayRandomiser:
    """Gives recorded draws back: row i of each parameter goes to environment i, in every episode."""

    start_up: frozenset[str] = frozenset()
    changes_within_episodes = False

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

    def changes(self, envs: np.ndarray, episodes: np.ndarray, steps: np.ndarray, period: float) -> list[Change]:
        return []

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"a replay has no state, the checkpoint holds {sorted(state)}")


def _tensors(values: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}
