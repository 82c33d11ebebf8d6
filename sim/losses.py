"""Messages that are lost between robot and policy, alone or in bursts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Losses:
    """Which messages of one link are lost, one message a control period, in `num_envs` environments."""

    def __init__(self, num_envs: int, period: float, generator: torch.Generator) -> None:
        self._left = torch.zeros(num_envs, device=generator.device)  # s for which messages are still lost
        self._period = period
        self._generator = generator

    def reset(self, ids: Tensor) -> None:
        """The link is whole again."""
        self._left[ids] = 0.0

    def draw(self, probability: Tensor, hold: Tensor) -> Tensor:
        """(N,) bool: whether the message of this period is lost.

        Args:
            probability: (N,) that a loss begins, where there is none.
            hold: (N,) s, how long it lasts, in whole periods and one at least.
        """
        going_on = self._left > 0.5 * self._period
        uniform = torch.rand(len(probability), generator=self._generator, device=probability.device)
        lost = going_on | (uniform < probability)
        self._left = torch.where(going_on, self._left, hold) - self._period
        self._left = torch.where(lost, self._left.clamp(min=0.0), 0.0)
        return lost

    def state_dict(self) -> dict[str, Any]:
        """Time left of present losses."""
        return {"left": self._left.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._left = state["left"].to(self._left.device, copy=True)
