"""The supervisor's debounce for all environments at once: `deploy_robot.judge.Row` for many rows and many robots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from deploy_robot.constraint import Constraint, Reading
from deploy_robot.thresholds import Threshold

SUPERVISOR_PERIOD = 0.005
"""s between two steps of the supervisor that is imagined: it sees each sample several times."""

_ROUNDING = 1e-6  # s, of sums of control periods in float32


class BatchedJudge:
    """R rows of the table at work on N robots.

    Each call of `judge` stands for one control period, through which the supervisor keeps seeing the same sample: a
    violation has then lasted from the first bad sample to the last step before a good one.

    Args:
        rows: what is judged.
        thresholds: of each row, by name.
        num_robots: robots.
        period: control period, s.
        device: where the figures live.
    """

    def __init__(
        self,
        rows: tuple[Constraint, ...],
        thresholds: Mapping[str, Threshold],
        num_robots: int,
        period: float,
        device: torch.device,
    ) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, device=device)[:, None]

        self.rows = rows
        self.limits = column([thresholds[row.name].value for row in rows])
        self._trip_after = column([row.trip_after - _ROUNDING for row in rows])
        self._release_after = column([row.release_after - _ROUNDING for row in rows])
        self._period = period
        self._held = period - min(period, SUPERVISOR_PERIOD)
        shape = (len(rows), num_robots)
        self._ok = torch.ones(shape, dtype=torch.bool, device=device)
        self._tripped = torch.zeros(shape, dtype=torch.bool, device=device)
        self._bad_time = torch.zeros(shape, device=device)  # s from the first bad sample to the newest one
        self._good_time = torch.full(shape, math.inf, device=device)  # likewise of good ones

    def figures(self, reading: Reading) -> Tensor:
        """What each row compares with its limit, of the worst joint: (R, N)."""
        robots = self._ok.shape[1]
        columns = [torch.as_tensor(row.worst(reading), device=self._ok.device) for row in self.rows]
        return torch.stack([column.to(torch.float32).expand(robots) for column in columns])

    def judge(self, figures: Tensor) -> Tensor:
        """Judge one control period of figures (R, N): whether each row trips in it, (R, N) bool."""
        ok = figures <= self.limits  # False for NaN
        was_ok, was_tripped = self._ok, self._tripped
        self._good_time = torch.where(was_ok, self._good_time + self._period, 0.0)
        self._bad_time = torch.where(was_ok, 0.0, self._bad_time + self._period)
        recent = was_tripped & (self._good_time + self._held < self._release_after)
        lasting = was_tripped | (self._bad_time + self._held >= self._trip_after)
        self._ok, self._tripped = ok, torch.where(ok, recent, lasting)
        return self._tripped & ~was_tripped

    @property
    def pending(self) -> Tensor:
        """(R, N) bool: violated, but not yet for long enough to trip."""
        return ~self._ok & ~self._tripped

    def forget(self, robots: Tensor) -> None:
        """Begin anew, with nothing violated, for `robots` (N,) bool."""
        self._ok = self._ok | robots
        self._tripped = self._tripped & ~robots
        self._good_time = self._good_time.masked_fill(robots, math.inf)

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        return {
            "ok": self._ok.clone(),
            "tripped": self._tripped.clone(),
            "bad_time": self._bad_time.clone(),
            "good_time": self._good_time.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`; the judge must have been built alike."""
        for name, value in state.items():
            setattr(self, f"_{name}", value.to(self._ok.device, copy=True))


def samples_to_trip(row: Constraint, period: float) -> int:
    """How many bad samples in a row, one a control period (s), make a row trip."""
    held = period - min(period, SUPERVISOR_PERIOD)
    return 1 + max(0, math.ceil((row.trip_after - _ROUNDING - held) / period))
