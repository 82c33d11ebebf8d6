"""How often the supervisor would have stopped the policy in training, for the log."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from policies.robot_watch import RobotWatch
from sim.env import VecEnv
from sim.episode import StepResult

# Judging costs a processor a tenth of an iteration, and a GPU, which launches hundreds of small kernels, far more.
_EVERY, _EVERY_ON_GPU = 16, 64
_QUANTILES = {"p50": 0.5, "p99": 0.99, "max": 1.0}


class TrainingMonitors:
    """Trips of each constraint per robot-hour, and how near its figure comes to its limit.

    One rollout of every K is logged, each control step of it, so that what must last for a while is seen to last; the
    one before is judged, too, for what lasts from there. It draws no random number and changes no tensor of the
    training.

    What the robots do is what the exploring policy makes them do, so that rows about targets show more than the policy
    will do without its noise. The sample in which an episode ends belongs to no row; a violation that had begun then,
    of a robot that fell, counts as a trip.

    Args:
        env: the robots.
        every: K; None for 16 on a processor, where that costs one to three percent of training, and 64 on a GPU.
    """

    def __init__(self, env: VecEnv, every: int | None = None) -> None:
        self.watch = RobotWatch(env)
        self.every = every or (_EVERY if env.device.type == "cpu" else _EVERY_ON_GPU)
        self._env = env
        self._rollouts = 0
        self._judged = self._logged = False
        self._seconds = 0.0  # of wall time, for the present rollout
        self._seen: list[Tensor] = []
        self._trips: list[Tensor] = []

    def begin(self) -> None:
        """A rollout begins."""
        turn = self._rollouts % self.every
        self._judged, self._logged = turn <= 1, turn == min(1, self.every - 1)
        self._rollouts += 1
        self._seconds = 0.0
        self._seen, self._trips = [], []
        if turn == 0 and self.every > 2:  # what came between was not seen
            self.watch.forget()

    def step(self, result: StepResult) -> None:
        """The environment has made a step."""
        if not self._judged:
            return
        start = time.perf_counter()
        fell = result.terminated & ~result.diverged
        cut_short = self.watch.pending & fell
        self._trips.append(self.watch.step() | cut_short)
        self._seen.append(self.watch.figures)
        self._seconds += time.perf_counter() - start

    def finish(self) -> tuple[dict[str, float], float]:
        """The rollout is over: figures for the log, none where it is not logged, and s of wall time that it took."""
        if not self._logged:
            return {}, self._seconds
        start = time.perf_counter()
        hours = len(self._seen) * self._env.num_envs * self._env.control_period / 3600.0
        rates = torch.stack(self._trips).sum(dim=(0, 2)) / hours
        # NaN is a violation, however large, and must not hide the other figures.
        seen = torch.stack(self._seen, dim=1).flatten(1).nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
        order = seen.sort(dim=1).values
        last = order.shape[1] - 1
        columns = [rates, *(order[:, round(last * share)] for share in _QUANTILES.values())]
        table = torch.stack([column.to(torch.float64) for column in columns], dim=1).tolist()
        figures = {}
        limits = self.watch.limits[:, 0].tolist()
        for row, limit, (rate, *quantiles) in zip(self.watch.rows, limits, table, strict=True):
            figures[f"monitors/{row.name}"] = rate
            if limit > 0.0:
                shares = zip(_QUANTILES, quantiles, strict=True)
                figures |= {f"monitor_figures/{row.name}_{name}": value / limit for name, value in shares}
        return figures, self._seconds + time.perf_counter() - start

    def checkpoint(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        return {
            "rows": [row.name for row in self.watch.rows],
            "rollouts": self._rollouts,
            "watch": self.watch.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Inverse of `checkpoint`; where the table has other rows by now, they begin anew."""
        self._rollouts = state["rollouts"]
        if state["rows"] == [row.name for row in self.watch.rows]:
            self.watch.load_state_dict(state["watch"])
        else:
            self.watch.forget()
