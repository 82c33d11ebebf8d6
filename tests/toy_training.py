"""A training problem with a known optimum: a batch of unit masses on a line, pushed to the origin.

Position and velocity x follow x' = A x + B u, the reward is -(x'Qx + R u^2), and episodes end by the clock only. The
discounted optimum is the linear-quadratic regulator, which `optimal_cost` solves by iterating the Riccati equation
(Bertsekas, "Dynamic programming and optimal control", volume 1, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from contract.signals import Signal
from policies.networks import mlp
from policies.normalizer import EmpiricalNormalizer
from sim.episode import Episode, StepResult

DT = 0.1  # s
A = np.array([[1.0, DT], [0.0, 1.0]])
B = np.array([[0.5 * DT**2], [DT]])
Q = np.diag([1.0, 0.1])
R = 0.05
FORCE = 2.0  # N for an action of one


class PointMass:
    """Keeps the environment interface that training uses. `poison(env)` may change the reward (N,) of a step."""

    control_period = DT
    critic_dim = 2
    device = torch.device("cpu")

    def __init__(
        self,
        num_envs: int,
        episode_steps: int = 40,
        seed: int = 0,
        poison: Callable[[PointMass, Tensor], Tensor] = lambda env, reward: reward,
    ) -> None:
        self.num_envs = num_envs
        self.episode_steps = episode_steps
        self.poison = poison
        self.steps = 0
        self.finished: list[Episode] = []
        self._generator = torch.Generator().manual_seed(seed)
        self._a, self._b = torch.tensor(A).float(), torch.tensor(B).float()
        self.x = self._draw(num_envs)
        self.clock = torch.randint(0, episode_steps, (num_envs,), generator=self._generator)
        self._observe()

    def critic_obs(self) -> Tensor:
        return self.x.clone()

    def step(self, joint_target: Tensor) -> StepResult:
        self.steps += 1
        cost_x = (self.x.square() * torch.tensor(np.diag(Q)).float()).sum(1)
        cost_u = R * joint_target.square().sum(1)
        reward = self.poison(self, -(cost_x + cost_u) * DT)
        self.x = self.x @ self._a.T + joint_target @ self._b.T
        self.clock = self.clock + 1
        truncated = self.clock >= self.episode_steps
        error = self.x.norm(dim=1)
        final = self.x[truncated].clone()
        self.x[truncated] = self._draw(int(truncated.sum()))
        self.clock = torch.where(truncated, 0, self.clock)
        self._observe()
        no = torch.zeros_like(truncated)
        terms = {"state": -cost_x * DT, "force": -cost_u * DT}
        return StepResult(reward, no, truncated, truncated, no, final, terms, error)

    def state_dict(self) -> dict[str, Any]:
        return {
            "x": self.x.clone(),
            "clock": self.clock.clone(),
            "signals": {name: value.clone() for name, value in self.signals.items()},
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.x, self.clock = state["x"].clone(), state["clock"].clone()
        self.signals = {name: value.clone() for name, value in state["signals"].items()}
        self._generator.set_state(state["generator"])

    def close(self) -> None:
        self.signals = {}

    def _draw(self, n: int) -> Tensor:
        return 2.0 * torch.rand(n, 2, generator=self._generator) - 1.0

    def _observe(self) -> None:
        noise = 0.01 * torch.randn(self.num_envs, 2, generator=self._generator)
        self.signals = {"position": self.x[:, :1] + noise[:, :1], "velocity": self.x[:, 1:] + noise[:, 1:]}


class ToyController(nn.Module):
    """The controller interface over those two signals, with its last action as memory."""

    def __init__(self, hidden: tuple[int, ...] = (32, 32)) -> None:
        super().__init__()
        self.inputs = (Signal("position", (1,), "m", "world"), Signal("velocity", (1,), "m/s", "world"))
        self.memory = (Signal("last_action", (1,), "1", ""),)
        self.output = Signal("joint_target", (1,), "N", "world")
        self.feature_dim = 3
        self.action_dim = 1
        self.normalizer = EmpiricalNormalizer(self.feature_dim)
        self.network = mlp(self.feature_dim, hidden, 1)

    def initial_memory(self, n: int) -> dict[str, Tensor]:
        return {"last_action": torch.zeros(n, 1)}

    def observe(self, signals: dict[str, Tensor], memory: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return torch.cat([signals["position"], signals["velocity"], memory["last_action"]], dim=1), dict(memory)

    def policy_mean(self, features: Tensor) -> Tensor:
        return self.network(self.normalizer(features))

    def act(self, action: Tensor, memory: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return FORCE * action, {**memory, "last_action": action}


def mirror(features: Tensor, critic_obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The line seen from the other side."""
    return -features, -critic_obs, -action


def optimal_cost(x: np.ndarray, gamma: float) -> np.ndarray:
    """(N,) least discounted sum of x'Qx + R u^2 from states x (N, 2), by the discounted Riccati equation."""
    p = Q.copy()
    for _ in range(2000):
        gain = gamma * np.linalg.solve(R + gamma * B.T @ p @ B, B.T @ p @ A)
        p = Q + gamma * A.T @ p @ (A - B @ gain)
    return np.einsum("ni,ij,nj->n", x, p, x)


@torch.no_grad()
def policy_cost(controller: ToyController, x: np.ndarray, gamma: float, steps: int = 600) -> np.ndarray:
    """(N,) discounted cost of the policy's mean from states x (N, 2), without noise."""
    cost, memory = np.zeros(len(x)), controller.initial_memory(len(x))
    for t in range(steps):
        state = torch.from_numpy(x).float()
        features, memory = controller.observe({"position": state[:, :1], "velocity": state[:, 1:]}, memory)
        force, memory = controller.act(controller.policy_mean(features), memory)
        u = force.double().numpy()
        cost += gamma**t * (np.einsum("ni,ij,nj->n", x, Q, x) + R * u[:, 0] ** 2)
        x = x @ A.T + u @ B.T
    return cost
