"""An imagined supervisor for every robot of an environment: figures and trips, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from contract.policy_contract import Contract
from deploy_robot.constraint import Constraint
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.thresholds import thresholds_of
from policies.batched_judge import BatchedJudge
from policies.simulated_reading import SimulatedReading, limits_on, reading_of, split_table
from sim.env import VecEnv


class RobotWatch:
    """Judges the constraint table on what sensors and drives of all robots report. It changes nothing.

    A robot whose episode has just begun has no past, like one whose policy has just been armed: nothing is violated,
    and its first target is no jump from anywhere.

    Args:
        env: the robots.
        contract: of a bundle, whose limits and thresholds apply; None for those of the robot.
        table: the constraints.

    Attributes:
        rows: those that can be judged here.
        absent: of each other row, what it looks at that a simulation does not give.
        figures: (R, N) of the newest step, in the rows' units.

    Raises:
        BundleError: the contract loosens a limit, or sets an unknown threshold.
    """

    def __init__(
        self, env: VecEnv, contract: Contract | None = None, table: tuple[Constraint, ...] = CONSTRAINTS
    ) -> None:
        self._env = env
        self._limits = limits_on(env.device, env.robot, env.control_period, contract)
        self.rows, self.absent = split_table(table, self._reading())
        thresholds = thresholds_of(table, contract)
        self._judge = BatchedJudge(self.rows, thresholds, env.num_envs, env.control_period, env.device)
        self.figures = self._judge.figures(self._reading())

    @property
    def limits(self) -> Tensor:
        """(R, 1) that the figures are compared with."""
        return self._judge.limits

    @property
    def pending(self) -> Tensor:
        """(R, N) bool: violated, but not yet for long enough to trip."""
        return self._judge.pending

    def step(self) -> Tensor:
        """Judge the step that the environment has just made: which rows trip in it, (R, N) bool."""
        self._judge.forget(self._env.clock == 0.0)
        self.figures = self._judge.figures(self._reading())
        return self._judge.judge(self.figures)

    def forget(self) -> None:
        """Begin anew with every robot."""
        self._judge.forget(torch.ones_like(self._env.clock, dtype=torch.bool))

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        return self._judge.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`; for the same rows and environments."""
        self._judge.load_state_dict(state)

    def _reading(self) -> SimulatedReading:
        env = self._env
        first = env.clock < 1.5 * env.control_period
        previous = torch.where(first[:, None], env.joint_target, env.last_joint_target)
        return reading_of(self._limits, env.signals, env.state.joint_torque, env.joint_target, previous)
