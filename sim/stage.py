"""A part of the environment between policy and physics that has randomised parameters of its own."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sim.engines.engine import Parameter


class Stage:
    """Values of a stage's parameters.

    What costs time is skipped until one of its parameters is set: see `uses`.

    Attributes:
        parameters: what may be set, by name.
        values: by name, (N, size) each; nominal until they are set.
    """

    def __init__(self, parameters: Mapping[str, Parameter], num_envs: int, device: torch.device) -> None:
        self.parameters = dict(parameters)
        self.values = {
            name: torch.as_tensor(p.nominal, dtype=torch.float32, device=device).expand(num_envs, p.size).clone()
            for name, p in self.parameters.items()
        }
        self._set: set[str] = set()

    def uses(self, *names: str) -> bool:
        """Whether one of these parameters has been set."""
        return not self._set.isdisjoint(names)

    def set(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        """Set those parameters among `values` (n, size) that are this stage's, in the environments `ids` (n,).

        Raises:
            UsageError: a value cannot be played.
        """
        own = {name: value for name, value in values.items() if name in self.parameters}
        for name, value in own.items():
            self.values[name][ids] = value
        self._set |= set(own)
        if own:
            self.check(ids, frozenset(own))

    def check(self, ids: Tensor, names: frozenset[str]) -> None:
        """Refuse what cannot be played of the parameters `names`, which were just set in `ids`."""

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        return {"values": {name: value.clone() for name, value in self.values.items()}, "set": sorted(self._set)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.values = {n: state["values"][n].to(value.device, copy=True) for n, value in self.values.items()}
        self._set = set(state["set"])
