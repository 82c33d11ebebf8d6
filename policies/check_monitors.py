"""How often the supervisor would have stepped in during the episodes of a check."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contract.policy_contract import Contract
from policies.robot_watch import RobotWatch
from sim.env import VecEnv

AFTER_FALL = 0.5
"""s that a fallen robot is still watched for, so that the rows that see the fall have their say."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class RowTrips:
    """How often one constraint would have tripped."""

    name: str
    reaction: str
    trips: int
    per_hour: float


@dataclass(frozen=True)
class SupervisorTrips:
    """What the supervisor would have done.

    Attributes:
        robot_hours: that were watched, of all episodes together.
        rows: every constraint that could be judged.
        not_judged: of each other one, what it looks at that a simulation does not give.
    """

    robot_hours: float
    rows: tuple[RowTrips, ...]
    not_judged: dict[str, str]

    def sentence(self) -> str:
        """In one line: who would have tripped, worst first."""
        found = sorted((row for row in self.rows if row.trips), key=lambda row: -row.trips)
        named = ", ".join(f"{row.name} {row.per_hour:.3g} an hour ({row.reaction})" for row in found)
        return f"the supervisor, in {self.robot_hours:.2f} robot-hours: {named or 'no trip'}"


class EpisodeTrips:
    """Counts trips in episodes that end and stay ended.

    Args:
        env: with `auto_reset=False`.
        contract: of the bundle, whose limits and thresholds apply.

    Raises:
        BundleError: the contract loosens a limit, or sets an unknown threshold.
    """

    def __init__(self, env: VecEnv, contract: Contract) -> None:
        self._watch = RobotWatch(env, contract)
        self._period = env.control_period
        self._down = np.zeros(env.num_envs, np.int64)  # steps since the fall
        self._trips = np.zeros(len(self._watch.rows), np.int64)
        self._steps = 0

    def step(self, alive: Bools, diverged: Bools) -> None:
        """The environment has made a step; `alive` (N,) has not fallen yet, of `diverged` (N,) nothing is known."""
        self._down = np.where(alive, 0, self._down + 1)
        counted = (self._down <= round(AFTER_FALL / self._period)) & ~diverged
        trips = self._watch.step() & torch.from_numpy(counted).to(self._watch.figures.device)
        self._trips += trips.sum(dim=1).cpu().numpy()
        self._steps += int(counted.sum())

    def result(self) -> SupervisorTrips:
        """All of it so far."""
        hours = self._steps * self._period / 3600.0
        rows = tuple(
            RowTrips(row.name, row.reaction.name.lower(), int(trips), float(trips) / hours if hours else float("nan"))
            for row, trips in zip(self._watch.rows, self._trips, strict=True)
        )
        return SupervisorTrips(hours, rows, dict(self._watch.absent))
