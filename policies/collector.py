"""Stepping the environments with an exploring controller, and what a training log says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from policies.controller import Controller
from policies.storage import RolloutStorage
from sim.episode import Episode, StepResult


class Environment(Protocol):
    """What training needs of an environment; `sim.env.VecEnv` is one."""

    num_envs: int
    device: torch.device
    control_period: float  # s
    critic_dim: int
    signals: dict[str, Tensor]
    finished: list[Episode]  # whoever reads it empties it

    def critic_obs(self) -> Tensor:
        """Privileged observation (N, critic_dim)."""
        ...

    def step(self, joint_target: Tensor) -> StepResult:
        """Advance one control period under joint targets (N, J) in rad; finished episodes begin anew."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        ...

    def close(self) -> None:
        """Release threads, processes and device memory."""
        ...


class Monitors(Protocol):
    """Who watches the robots in training for the log; `policies.training_monitors.TrainingMonitors` is one."""

    def begin(self) -> None:
        """A rollout begins."""
        ...

    def step(self, result: StepResult) -> None:
        """The environment has made a step."""
        ...

    def finish(self) -> tuple[dict[str, float], float]:
        """Figures of the rollout, and the wall time in s that they cost."""
        ...

    def checkpoint(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Inverse of `checkpoint`."""
        ...


class Explorer(Protocol):
    """Who chooses actions in training."""

    def act(self, features: Tensor) -> Tensor:
        """Action (N, A) on raw features (N, D)."""
        ...


class Collector:
    """Steps environments and controllers in turn and fills a storage. Holds the memory of the controllers."""

    def __init__(
        self, env: Environment, controller: Controller, explorer: Explorer, monitors: Monitors | None = None
    ) -> None:
        self.env = env
        self.controller = controller
        self.explorer = explorer
        self.monitors = monitors
        self.monitor_seconds = 0.0  # of wall time, in the last rollout
        self.memory = controller.initial_memory(env.num_envs)
        self._episode_return = torch.zeros(env.num_envs, device=env.device)
        self._episode_steps = torch.zeros(env.num_envs, device=env.device)

    @torch.no_grad()
    def collect(self, storage: RolloutStorage) -> dict[str, float]:
        """Fill `storage`; figures for the log. Those of episodes are there only if one ended."""
        env, sums, monitors = self.env, _Sums(), self.monitors
        storage.clear()
        if monitors is not None:
            monitors.begin()
        for _ in range(storage.steps):
            features, memory = self.controller.observe(env.signals, self.memory)
            action = self.explorer.act(features)
            storage.observe(features, env.critic_obs(), action)
            joint_target, memory = self.controller.act(action, memory)
            result = env.step(joint_target)
            storage.outcome(result.reward, result.terminated, result.truncated, result.final_critic_obs)
            self.memory = {name: _zero_rows(value, result.done) for name, value in memory.items()}
            self._count(result, sums)
            if monitors is not None:
                monitors.step(result)
        storage.finish(env.critic_obs())
        figures = self._figures(sums.read(), len(storage))
        if monitors is not None:
            watched, self.monitor_seconds = monitors.finish()
            figures |= watched
        return figures

    def _count(self, result: StepResult, sums: _Sums) -> None:
        self._episode_return += result.reward
        self._episode_steps += 1.0
        running = ~result.done
        sums.add("reward", result.reward)
        sums.add("tracking_error", result.tracking_error)
        sums.add("falls", result.terminated & ~result.diverged)
        sums.add("diverged", result.diverged)
        sums.add("episodes", result.done)
        sums.add("episode_return", _zero_rows(self._episode_return, running))
        sums.add("episode_steps", _zero_rows(self._episode_steps, running))
        for name, value in result.reward_terms.items():
            sums.add(f"reward/{name}", value)
        self._episode_return = _zero_rows(self._episode_return, result.done)
        self._episode_steps = _zero_rows(self._episode_steps, result.done)

    def _figures(self, sums: dict[str, float], samples: int) -> dict[str, float]:
        seconds = samples * self.env.control_period  # lived by all environments together
        figures = {
            "task/reward_per_second": sums["reward"] / seconds,
            "task/tracking_error": sums["tracking_error"] / samples,
            "task/falls_per_minute": 60.0 * sums["falls"] / seconds,
            "task/diverged": sums["diverged"],
        }
        if episodes := sums["episodes"]:
            figures["episode/return"] = sums["episode_return"] / episodes
            figures["episode/seconds"] = sums["episode_steps"] / episodes * self.env.control_period
        terms = {name: total / seconds for name, total in sums.items() if name.startswith("reward/")}
        return figures | terms

    def checkpoint(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        return {
            "memory": {name: value.clone() for name, value in self.memory.items()},
            "episode_return": self._episode_return.clone(),
            "episode_steps": self._episode_steps.clone(),
            "monitors": self.monitors.checkpoint() if self.monitors is not None else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `checkpoint`."""
        device = self.env.device
        self.memory = {name: value.to(device, copy=True) for name, value in state["memory"].items()}
        self._episode_return = state["episode_return"].to(device, copy=True)
        self._episode_steps = state["episode_steps"].to(device, copy=True)
        if self.monitors is not None and state.get("monitors") is not None:  # older checkpoints have none
            self.monitors.restore(state["monitors"])


class _Sums:
    """Sums over environments and steps, kept as tensors and read once."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        total = value.sum(dtype=torch.float64)
        self._totals[name] = self._totals[name] + total if name in self._totals else total

    def read(self) -> dict[str, float]:
        return dict(zip(self._totals, torch.stack(list(self._totals.values())).tolist(), strict=True))


def _zero_rows(value: Tensor, rows: Tensor) -> Tensor:
    """`value` (N, ...) with zeros in the rows (N,) bool."""
    return value.masked_fill(rows.view(-1, *[1] * (value.dim() - 1)), 0.0)
