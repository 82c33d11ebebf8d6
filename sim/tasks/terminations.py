"""Terminations: (N,) bool functions of the environment that end an episode as a failure."""

import math
from collections.abc import Callable

from torch import Tensor

from sim.env import CONTACT_FORCE, VecEnv


def tilted(limit: float) -> Callable[[VecEnv], Tensor]:
    """Makes a termination: the base's z axis is more than `limit` rad from the vertical."""
    threshold = -math.cos(limit)

    def function(env: VecEnv) -> Tensor:
        return env.gravity[:, 2] > threshold

    return function


def touches_ground(*geoms: str) -> Callable[[VecEnv], Tensor]:
    """Makes a termination: one of the named collision geoms touches the ground."""

    def function(env: VecEnv) -> Tensor:
        columns = [env.engine.contact_geoms.index(name) for name in geoms]
        return (env.state.contact_force[:, columns] > CONTACT_FORCE).any(dim=1)

    return function
