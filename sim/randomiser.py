"""What the environment knows of domain randomisation: somebody who draws parameters for an episode."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from sim.engines.engine import Parameter


class Randomiser(Protocol):
    """Draws the parameters of episodes. `domain_rand` implements it."""

    def bind(self, parameters: Mapping[str, Parameter]) -> None:
        """Learn which parameters the environment has.

        Raises:
            UsageError: a parameter is randomised that the environment does not have.
        """
        ...

    def draw(self, envs: np.ndarray, episodes: np.ndarray) -> dict[str, Tensor]:
        """Parameters of episode `episodes[i]` of environment `envs[i]`, each (n, size).

        A pure function of its arguments and the seed, so that any episode can be drawn again.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """What changes over training (curricula); empty where nothing does."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        ...
