"""What strikes the robot from outside: pushes. Forces that last are parameters of the engines."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sim.engines.engine import Engine, Parameter
from sim.stage import Stage


class Disturbances(Stage):
    """Pushes of `num_envs` environments."""

    def __init__(self, num_envs: int, control_period: float, generator: torch.Generator) -> None:
        parameters = {
            "push_interval": Parameter(1, "s", 0.0, "time between pushes; 0 for none"),
            "push_speed": Parameter(1, "m/s", 0.0, "speed that a push adds to the base, horizontal"),
            "push_spin": Parameter(1, "rad/s", 0.0, "yaw rate that a push adds to the base, either way"),
        }
        super().__init__(parameters, num_envs, generator.device)
        self._period = control_period
        self._left = torch.full((num_envs,), torch.inf, device=generator.device)
        self._generator = generator

    def reset(self, ids: Tensor) -> None:
        """Schedule the first push of new episodes, somewhere in its interval."""
        interval = self.values["push_interval"][ids, 0]
        first = interval * torch.rand(len(ids), generator=self._generator, device=interval.device)
        self._left[ids] = torch.where(interval > 0.0, first, torch.inf)

    def push(self, engine: Engine) -> None:
        """Let one control period pass, and push where it is time, in a random direction."""
        self._left -= self._period
        ids = (self._left <= 0.0).nonzero()[:, 0]
        if len(ids) == 0:
            return
        self._left[ids] = self.values["push_interval"][ids, 0]
        uniform = torch.rand(2, len(ids), generator=self._generator, device=ids.device)
        heading = 2 * torch.pi * uniform[0]
        speed = self.values["push_speed"][ids, 0]
        spin = self.values["push_spin"][ids, 0] * torch.where(uniform[1] < 0.5, -1.0, 1.0)
        zero = torch.zeros_like(speed)
        engine.push(
            ids,
            torch.stack([speed * heading.cos(), speed * heading.sin(), zero], dim=1),
            torch.stack([zero, zero, spin], dim=1),
        )

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "left": self._left.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._left = state["left"].to(self._left.device, copy=True)
