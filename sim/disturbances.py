"""What comes between a target and the motors, and what strikes the robot from outside: action delay and pushes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from contract.errors import UsageError
from sim.engines.engine import Engine, Parameter


class Disturbances:
    """Action delays and pushes of `num_envs` environments."""

    def __init__(
        self, num_envs: int, control_period: float, physics_dt: float, decimation: int, generator: torch.Generator
    ) -> None:
        self.parameters = {
            "action_delay": Parameter(1, "s", 0.0, "age of a target when the motors get it, at most one period"),
            "push_interval": Parameter(1, "s", 0.0, "time between pushes; 0 for none"),
            "push_speed": Parameter(1, "m/s", 0.0, "speed that a push adds to the base, horizontal"),
            "push_spin": Parameter(1, "rad/s", 0.0, "yaw rate that a push adds to the base, either way"),
        }
        device = generator.device
        self.values = {name: torch.zeros(num_envs, 1, device=device) for name in self.parameters}
        self._period = control_period
        # A target that arrives within the first half of a physics step is taken as there for all of it.
        self._latest = (torch.arange(decimation, device=device) + 0.5) * physics_dt
        self._left = torch.full((num_envs,), torch.inf, device=device)
        self._generator = generator

    def check(self, draw: Mapping[str, Tensor]) -> None:
        """Refuse delays longer than what is remembered: they would come out shorter without a word."""
        if "action_delay" in draw:
            check_delay("action_delay", draw["action_delay"], self._period)

    def reset(self, ids: Tensor) -> None:
        """Schedule the first push of new episodes, somewhere in its interval."""
        interval = self.values["push_interval"][ids, 0]
        first = interval * torch.rand(len(ids), generator=self._generator, device=interval.device)
        self._left[ids] = torch.where(interval > 0.0, first, torch.inf)

    def delayed(self, target: Tensor, last_target: Tensor) -> Tensor:
        """(N, S, J): each physics step holds the newest target (N, J) that has reached the motors."""
        fresh = self._latest >= self.values["action_delay"]
        return torch.where(fresh[:, :, None], target[:, None], last_target[:, None])

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
        """Parameters and push schedule."""
        return {"left": self._left.clone(), "values": {k: v.clone() for k, v in self.values.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        device = self._latest.device
        self._left = state["left"].to(device, copy=True)
        self.values = {k: v.to(device, copy=True) for k, v in state["values"].items()}


def check_delay(name: str, values: Tensor, longest: float) -> None:
    """Raises UsageError unless all delays lie between 0 and `longest` s."""
    if not bool(((values >= 0.0) & (values <= longest + 1e-6)).all()):
        raise UsageError(f"randomisation: {name} must lie between 0 and {longest:g} s")
