"""Storage of one on-policy rollout, and generalised advantage estimation over it."""

from __future__ import annotations

import torch
from torch import Tensor


class RolloutStorage:
    """What `num_envs` environments saw and did in `steps` control steps, written in place, time axis first.

    Observations are raw. Whatever depends on the networks (values, probabilities) is computed from them in
    one batch at the start of an update, which costs less than as many small batches while stepping.

    Attributes:
        features: (T, N, D) actor observations.
        critic_obs: (T + 1, N, C) privileged observations; the last row is the state after the rollout.
        action: (T, N, A) sampled actions, before any clipping.
        reward: (T, N).
        terminated: (T, N) bool, the step ended the episode as a failure: nothing follows.
        truncated: (T, N) bool, the step ended the episode by the clock: what would follow counts.
    """

    def __init__(
        self,
        steps: int,
        num_envs: int,
        feature_dim: int,
        critic_dim: int,
        action_dim: int,
        device: torch.device | str = "cpu",
    ) -> None:
        def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        self.steps = steps
        self.num_envs = num_envs
        self.features = buffer(steps, num_envs, feature_dim)
        self.critic_obs = buffer(steps + 1, num_envs, critic_dim)
        self.action = buffer(steps, num_envs, action_dim)
        self.reward = buffer(steps, num_envs)
        self.terminated = buffer(steps, num_envs, dtype=torch.bool)
        self.truncated = buffer(steps, num_envs, dtype=torch.bool)
        self._final_critic_obs: list[Tensor] = []
        self._filled = 0

    def __len__(self) -> int:
        """Samples of a full rollout."""
        return self.steps * self.num_envs

    def clear(self) -> None:
        """Begin a new rollout in the same memory."""
        self._final_critic_obs.clear()
        self._filled = 0

    def observe(self, features: Tensor, critic_obs: Tensor, action: Tensor) -> None:
        """Write what is seen (N, D), (N, C) before a step and the action (N, A) taken on it."""
        t = self._filled
        self.features[t] = features
        self.critic_obs[t] = critic_obs
        self.action[t] = action

    def outcome(self, reward: Tensor, terminated: Tensor, truncated: Tensor, final_critic_obs: Tensor) -> None:
        """Write what that step gave, each (N,), and end the step.

        `final_critic_obs` (n, C) are the last states of the n truncated episodes, in the order of
        `truncated.nonzero()`.
        """
        t = self._filled
        self.reward[t] = reward
        self.terminated[t] = terminated
        self.truncated[t] = truncated
        self._final_critic_obs.append(final_critic_obs)
        self._filled += 1

    def finish(self, critic_obs: Tensor) -> None:
        """Write the state (N, C) that the rollout ends in."""
        if self._filled != self.steps:
            raise ValueError(f"the rollout has {self._filled} of {self.steps} steps")
        self.critic_obs[self.steps] = critic_obs

    @property
    def final_critic_obs(self) -> Tensor:
        """(n, C) last states of all truncated episodes, in the order of `truncated.nonzero()`."""
        return torch.cat(self._final_critic_obs)

    def next_values(self, values: Tensor, final_values: Tensor) -> Tensor:
        """Value (T, N) of what follows each step, within its own episode.

        Args:
            values: (T + 1, N) of `critic_obs`.
            final_values: (n,) of `final_critic_obs`.

        That of the next row where the episode goes on, that of its last state where the clock cut it off (Pardo
        et al. 2018, "Time limits in reinforcement learning"), zero where it ended as a failure.
        """
        following = values[1:].clone()
        following[self.truncated] = final_values.to(following.dtype)
        return following.masked_fill_(self.terminated, 0.0)


def generalized_advantages(
    reward: Tensor, value: Tensor, next_value: Tensor, done: Tensor, gamma: float, gae_lambda: float
) -> Tensor:
    """Generalised advantage estimates (T, N) of rewards, values and following values, each (T, N).

    A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}, delta_t = r_t + gamma V'_t - V_t, where V' is
    `next_value`, zero where nothing follows (Schulman et al. 2016, "High-dimensional continuous control using
    generalized advantage estimation", eq. 11 to 16). `done` (T, N) bool: the episode ended, either way.
    """
    advantage = torch.addcmul(reward - value, next_value, torch.full_like(next_value, gamma))
    decay = gamma * gae_lambda * (~done).to(reward.dtype)
    for t in range(reward.shape[0] - 2, -1, -1):
        advantage[t].addcmul_(decay[t], advantage[t + 1])
    return advantage
