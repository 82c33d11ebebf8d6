"""What the environment knows of domain randomisation: somebody who draws parameters, and says when they change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from sim.engines.engine import Parameter


@dataclass(frozen=True)
class Change:
    """Parameters that change within episodes.

    Attributes:
        rows: (m,) of the environments that were asked about, those in which they do.
        values: by name, (m, size) each.
    """

    rows: Tensor
    values: Mapping[str, Tensor]


class Randomiser(Protocol):
    """Draws the parameters of episodes. `domain_rand` implements it."""

    start_up: frozenset[str]  # parameters that an environment keeps for the whole run
    changes_within_episodes: bool

    def bind(self, parameters: Mapping[str, Parameter]) -> None:
        """Learn which parameters the environment has.

        Raises:
            UsageError: a parameter is randomised that the environment does not have.
        """
        ...

    def draw(self, envs: np.ndarray, episodes: np.ndarray) -> dict[str, Tensor]:
        """Parameters with which episode `episodes[i]` of environment `envs[i]` begins, each (n, size).

        A function of its arguments, the seed and the state, so that any episode can be drawn again.
        """
        ...

    def changes(self, envs: np.ndarray, episodes: np.ndarray, steps: np.ndarray, period: float) -> list[Change]:
        """What changes in control step `steps[i]` since that episode began, the first being 1, of `period` s each.

        As `draw`, a function of its arguments, the seed and the state. To be asked in every step, where
        `changes_within_episodes`.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """What changes over training (curricula); empty where nothing does."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        ...
