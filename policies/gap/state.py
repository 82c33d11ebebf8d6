"""A robot's true state, copied out of one engine and put into another."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sim.env import VecEnv

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class State:
    """M states, float32: engines are given no more than that, so that both are given the same.

    Attributes:
        root_pos: (M, 3) m, world. root_quat: (M, 4) world_from_base.
        root_lin_vel: (M, 3) m/s, world. root_ang_vel: (M, 3) rad/s, base frame.
        joint_pos, joint_vel: (M, J) rad, rad/s.
    """

    root_pos: Array
    root_quat: Array
    root_lin_vel: Array
    root_ang_vel: Array
    joint_pos: Array
    joint_vel: Array

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, np.asarray(getattr(self, field.name), np.float32))

    def __len__(self) -> int:
        return len(self.root_pos)

    def rows(self, which: Any) -> "State":
        """The states `which`, as numpy indexes the first axis, or with a tuple the first axes."""
        return State(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def raised(self, height: float) -> "State":
        """The same states `height` m higher."""
        return replace(self, root_pos=self.root_pos + np.array([0.0, 0.0, height], np.float32))


def read(env: VecEnv) -> State:
    """The states of all environments now."""
    return State(**{f.name: getattr(env.state, f.name).cpu().numpy().copy() for f in fields(State)})


def place(env: VecEnv, states: State) -> None:
    """Put every environment into its state."""
    values = {f.name: torch.from_numpy(getattr(states, f.name)).to(env.device) for f in fields(State)}
    env.engine.reset(torch.arange(env.num_envs, device=env.device), **values)


def stack(states: list[State]) -> State:
    """States of T steps, (T, N, ...) each."""
    return State(**{f.name: np.stack([getattr(s, f.name) for s in states]) for f in fields(State)})
