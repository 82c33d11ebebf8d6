"""When a parameter that is drawn anew within an episode is due."""

from collections.abc import Mapping

import numpy as np

from domain_rand import philox
from domain_rand.distributions import Distribution
from domain_rand.draws import Array, Draws, stream
from domain_rand.spec import Every, Term
from sim.engines.engine import Parameter

_EARLY = 1e-9  # s: a moment that a control step meets is met in it, whatever rounding says


class Schedule:
    """The moments of one term of moment `Every`.

    They are a function of (seed, environment, episode). What is kept here, how far each environment is, only saves the
    work of counting from the beginning of the episode, and is made anew where it is not of the episode asked for.
    """

    def __init__(self, term: Term, parameters: Mapping[str, Parameter], seed: int) -> None:
        assert isinstance(term.moment, Every)
        self._draws = Draws((term,), parameters, seed)
        self._seconds = term.moment.seconds
        self._key = np.array(stream(seed, f"{term.parameter} interval"), np.uint64)
        self._episode = np.empty(0, np.int64)  # of each environment; -1 where nothing is known
        self._index = np.empty(0, np.int64)  # how many times it was drawn anew by `_time`
        self._time = np.empty(0)  # s, of what was asked last
        self._next = np.empty(0)  # s, when it is due

    def due(
        self, envs: np.ndarray, episodes: np.ndarray, steps: np.ndarray, period: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which of `envs` (n,) get a new value in control step `steps` (n,) since their episode began, of `period` s.

        Returns:
            Their rows (m,), and the number of the draw of each (m,).
        """
        now = steps * period + _EARLY
        self._begin(envs, episodes, now)
        before = now - period
        late = np.flatnonzero(self._next[envs] <= now)
        rows = []
        while len(late):
            chosen = envs[late]
            rows.append(late[self._next[chosen] > before[late]])
            self._index[chosen] += 1
            self._next[chosen] += self._interval(chosen, episodes[late], self._index[chosen])
            late = late[self._next[chosen] <= now[late]]
        self._time[envs] = now
        found = np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)
        return found, self._index[envs[found]]

    def values(
        self, distributions: Mapping[str, Distribution], envs: np.ndarray, episodes: np.ndarray, index: np.ndarray
    ) -> dict[str, Array]:
        """As `Draws.values`."""
        return self._draws.values(distributions, envs, episodes, index)

    def _begin(self, envs: np.ndarray, episodes: np.ndarray, now: np.ndarray) -> None:
        """Start counting where another episode is asked for, or an earlier time."""
        missing = int(envs.max(initial=-1)) + 1 - len(self._episode)
        if missing > 0:
            self._episode = np.append(self._episode, np.full(missing, -1))
            self._index = np.append(self._index, np.zeros(missing, np.int64))
            self._time, self._next = np.append(self._time, np.zeros(missing)), np.append(self._next, np.zeros(missing))
        fresh = np.flatnonzero((self._episode[envs] != episodes) | (self._time[envs] > now))
        if len(fresh):
            chosen = envs[fresh]
            self._episode[chosen], self._index[chosen] = episodes[fresh], 0
            self._next[chosen] = self._interval(chosen, episodes[fresh], self._index[chosen])

    def _interval(self, envs: np.ndarray, episodes: np.ndarray, index: np.ndarray) -> np.ndarray:
        """(n,) s, how long draw number `index` stands."""
        counters = np.zeros((len(envs), 4), np.uint64)
        counters[:, 1], counters[:, 2], counters[:, 3] = index, envs, episodes
        return self._seconds.quantile(philox.uniform(self._key, counters)[:, 0])
