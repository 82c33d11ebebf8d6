"""Commands of an episode: drawn, held for a while, drawn again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sim.tasks.task import CommandSpec


class CommandSource:
    """Commands of `num_envs` environments, (N, C) in `value`.

    `fix` replaces the draws by given commands, as a check or a person does.
    """

    def __init__(self, spec: CommandSpec, num_envs: int, period: float, generator: torch.Generator) -> None:
        self.spec = spec
        device = generator.device
        self.value = torch.zeros(num_envs, len(spec.lower), device=device)
        self._left = torch.zeros(num_envs, device=device)
        self._period = period
        self._generator = generator
        self._lower = torch.tensor(spec.lower, device=device)
        self._upper = torch.tensor(spec.upper, device=device)
        self._fixed = False

    def draw(self, ids: Tensor) -> None:
        """New commands for `ids`."""
        if self._fixed or len(ids) == 0:
            return
        uniform = torch.rand(len(ids), len(self._lower) + 2, generator=self._generator, device=ids.device)
        command = self._lower + (self._upper - self._lower) * uniform[:, :-2]
        command[uniform[:, -2] < self.spec.zero_fraction] = 0.0
        self.value[ids] = command
        shortest, longest = self.spec.hold
        self._left[ids] = shortest + (longest - shortest) * uniform[:, -1]

    def advance(self) -> None:
        """Let one control period pass."""
        self._left -= self._period
        self.draw((self._left <= 0.0).nonzero()[:, 0])

    def fix(self, commands: Tensor) -> None:
        """Use these commands (N, C) from now on."""
        self.value = commands.clone()
        self._fixed = True

    def state_dict(self) -> dict[str, Any]:
        """Commands and time left."""
        return {"value": self.value.clone(), "left": self._left.clone(), "fixed": self._fixed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        device = self._lower.device
        self.value = state["value"].to(device, copy=True)
        self._left = state["left"].to(device, copy=True)
        self._fixed = bool(state["fixed"])
