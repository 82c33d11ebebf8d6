"""Episodes of a sweep: which robot follows which command, with which parameters held where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domain_rand.randomiser import EpisodeRandomiser
from sim.engines.engine import Parameter
from sim.randomiser import Change

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Plan:
    """M episodes.

    Attributes:
        robots: (M,) equal numbers are equal robots in all that is not held.
        commands: (M,) which command of the check.
        held: of each parameter that is held in some episode the value (M,), all components alike; NaN where it is not.
    """

    robots: Index
    commands: Index
    held: dict[str, Array]

    def __len__(self) -> int:
        return len(self.robots)


def joined(plans: list[Plan]) -> Plan:
    """One after the other."""
    names = dict.fromkeys(name for plan in plans for name in plan.held)
    return Plan(
        np.concatenate([plan.robots for plan in plans]),
        np.concatenate([plan.commands for plan in plans]),
        {n: np.concatenate([plan.held.get(n, np.full(len(plan), np.nan)) for plan in plans]) for n in names},
    )


class PlannedRandomiser:
    """Implements `sim.randomiser.Randomiser`: environment i plays episode `rows[i]` of a plan, in every episode.

    What is held keeps its value for the whole episode. All else comes from `base`, a function of the robot alone, so
    that levels of a parameter are tried on the same robots; what `base` does not draw is nominal.
    """

    start_up: frozenset[str] = frozenset()
    changes_within_episodes = False

    def __init__(self, base: EpisodeRandomiser, plan: Plan, rows: Index) -> None:
        self.rows = rows
        self._base, self._plan = base, plan
        self._parameters: dict[str, Parameter] = {}

    def bind(self, parameters: Mapping[str, Parameter]) -> None:
        self._parameters = dict(parameters)
        self._base.bind(parameters)
        self.changes_within_episodes = self._base.changes_within_episodes

    def draw(self, envs: np.ndarray, episodes: np.ndarray) -> dict[str, Tensor]:
        robots, of = np.unique(self._plan.robots[self.rows[envs]], return_inverse=True)
        drawn = self._base.draw(robots, np.zeros_like(robots))
        values = {name: value[torch.from_numpy(of)] for name, value in drawn.items()}
        for name in self._plan.held.keys() - values.keys():
            parameter = self._parameters[name]
            values[name] = torch.as_tensor(parameter.nominal, dtype=torch.float32).expand(len(envs), parameter.size)
        return self._holding(values, envs)

    def changes(self, envs: np.ndarray, episodes: np.ndarray, steps: np.ndarray, period: float) -> list[Change]:
        robots, first, of = np.unique(self._plan.robots[self.rows[envs]], return_index=True, return_inverse=True)
        found = []
        # Of environments that begin together, so that equal robots are in equal steps.
        for change in self._base.changes(robots, np.zeros_like(robots), steps[first], period):
            place = np.full(len(robots), -1)
            place[change.rows.numpy()] = np.arange(len(change.rows))
            rows = np.flatnonzero(place[of] >= 0)
            from_ = torch.from_numpy(place[of][rows])
            values = {name: value[from_] for name, value in change.values.items()}
            found.append(Change(torch.from_numpy(rows), self._holding(values, envs[rows])))
        return found

    def _holding(self, values: dict[str, Tensor], envs: np.ndarray) -> dict[str, Tensor]:
        """`values` (n, size) of `envs` (n,), with what is held in place of what was drawn."""
        for name in self._plan.held.keys() & values.keys():
            level = torch.from_numpy(self._plan.held[name][self.rows[envs]].astype(np.float32))[:, None]
            values[name] = torch.where(level.isnan(), values[name], level)
        return values

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            raise ValueError(f"a plan has no state, the checkpoint holds {sorted(state)}")
