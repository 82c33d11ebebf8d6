"""Proximal policy optimisation (Schulman et al. 2017, "Proximal policy optimization algorithms").

The loss is the clipped surrogate with a clipped value loss and an entropy bonus; the learning rate follows
the divergence of the update. `PPO.update` reads from top to bottom; its inner loop reads no number back to
the host.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from contract.errors import LandbridgeError
from policies.config import PPOConfig
from policies.controller import Controller
from policies.networks import Critic, GaussianNoise, gaussian_kl
from policies.storage import RolloutStorage, generalized_advantages

Mirror = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""Mirror image of (features, critic_obs, action), each (B, ...), raw; applied twice it changes nothing."""


class TrainingDivergedError(LandbridgeError):
    """The loss or gradient was not finite too many times in a row."""


@dataclass
class Batch:
    """A rollout as the epochs read it, one row a sample."""

    features: Tensor  # (B, D) normalised
    critic_obs: Tensor  # (B, C) normalised
    action: Tensor  # (B, A)
    old_mean: Tensor  # (B, A)
    old_log_prob: Tensor  # (B,)
    advantage: Tensor  # (B,) zero mean, unit standard deviation
    old_value: Tensor  # (B,) in the critic's unit scale
    target: Tensor  # (B,) return in the critic's unit scale

    def rows(self, index: Tensor) -> Batch:
        """The rows `index` (b,)."""
        return Batch(**{name: tensor.index_select(0, index) for name, tensor in vars(self).items()})


class Losses(NamedTuple):
    """Terms of the loss, each ()."""

    policy: Tensor
    value: Tensor
    entropy: Tensor
    kl: Tensor
    clip_fraction: Tensor


class PPO(nn.Module):
    """Trains a controller's network. Owns the critic, the exploration noise and the optimiser.

    Args:
        controller: `normalizer` and `network` are trained.
        critic_dim: privileged observations.
        config: settings.
        mirror: mirror image of a sample; needed where `config.symmetry` is not `none`.
    """

    def __init__(
        self, controller: Controller, critic_dim: int, config: PPOConfig, mirror: Mirror | None = None
    ) -> None:
        super().__init__()
        if config.symmetry != "none" and mirror is None:
            raise LandbridgeError(
                f"ppo.symmetry is '{config.symmetry}', but the recipe gives no mirror image: use 'none'"
            )
        self.config = config
        self.controller = controller
        self.critic = Critic(critic_dim, config.critic_hidden, config.activation)
        self.noise = GaussianNoise(controller.action_dim, config.init_std, config.std_range)
        self.learning_rate = config.learning_rate
        self.bad_steps = 0  # in a row, up to now
        self._mirror = mirror
        self._bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and native_bfloat16())
        self._trained = [
            *controller.network.parameters(),
            *self.critic.network.parameters(),
            *self.noise.parameters(),
        ]
        self.optimizer = torch.optim.Adam(self._trained, lr=self.learning_rate, fused=True)
        self._losses = torch.compile(self.losses) if config.compile else self.losses

    @torch.no_grad()
    def act(self, features: Tensor) -> Tensor:
        """Exploring action (N, A) on raw features (N, D)."""
        return self.noise.sample(self.controller.policy_mean(features))

    @torch.no_grad()
    def absorb(self, storage: RolloutStorage) -> None:
        """Update the statistics of the observation normalisers with a rollout."""
        self.controller.normalizer.update(storage.features)
        self.critic.normalizer.update(storage.critic_obs[:-1])

    def update(self, storage: RolloutStorage, progress: float) -> dict[str, float]:
        """One update from a full rollout, `progress` (0 to 1) into the budget; figures for the log.

        Raises:
            TrainingDivergedError: `max_bad_steps` gradient steps in a row were not finite. Such steps are
                skipped, so the networks hold their last finite values.
        """
        config = self.config
        batch, explained_variance = self._prepare(storage)
        if config.schedule == "linear":
            self.learning_rate = config.learning_rate * (1.0 - progress)
        self._set_learning_rate()
        old_log_std = self.noise.log_std.detach().clone()

        log: list[Tensor] = []
        for _ in range(config.epochs):
            for index in torch.randperm(len(storage), device=batch.action.device).chunk(config.minibatches):
                index, originals = self._with_mirrored(index, len(storage))
                losses = self._losses(batch.rows(index), old_log_std, originals)
                loss = losses.policy + config.value_coef * losses.value - config.entropy_coef * losses.entropy
                self.optimizer.zero_grad()
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self._trained, config.max_grad_norm, foreach=True)
                bad = (~torch.isfinite(loss.detach() + norm)).float()
                # Where this is not 0 the fused optimiser leaves weights and moments alone (GradScaler's way).
                self.optimizer.found_inf = bad  # type: ignore[attr-defined]
                self.optimizer.step()
                self.noise.clamp_()
                log.append(torch.stack((*losses, norm, bad)).detach())

        self.absorb(storage)
        figures = self._figures(torch.stack(log))
        if config.schedule == "adaptive" and "policy/kl" in figures:
            self._adapt_learning_rate(figures["policy/kl"])
        return {**figures, "loss/explained_variance": float(explained_variance)}

    def losses(self, batch: Batch, old_log_std: Tensor, originals: int) -> Losses:
        """Loss terms of a minibatch; the first `originals` rows are not mirror images."""
        clip, value_clip = self.config.clip, self.config.value_clip
        with self._autocast():
            mean = self.controller.network(batch.features)
            value = self.critic.network(batch.critic_obs)
        mean, value = mean.float(), value.float().squeeze(-1)

        log_ratio = self.noise.log_prob(batch.action, mean) - batch.old_log_prob
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
        policy_loss = -torch.minimum(ratio * batch.advantage, clipped * batch.advantage).mean()

        near = batch.old_value + (value - batch.old_value).clamp(-value_clip, value_clip)
        value_loss = torch.maximum((value - batch.target).square(), (near - batch.target).square()).mean()

        with torch.no_grad():
            kl = gaussian_kl(batch.old_mean[:originals], old_log_std, mean[:originals], self.noise.log_std).mean()
            clip_fraction = ((ratio[:originals] - 1.0).abs() > clip).float().mean()
        return Losses(policy_loss, value_loss, self.noise.entropy(), kl, clip_fraction)

    @torch.no_grad()
    def _prepare(self, storage: RolloutStorage) -> tuple[Batch, Tensor]:
        """The rollout flattened, normalised and with advantages and targets; and the explained variance ().

        Old means and values are computed here, in the arithmetic of the epochs: the first ratio is one.
        """
        config, critic = self.config, self.critic
        features, action = storage.features.flatten(0, 1), storage.action.flatten(0, 1)
        critic_obs = storage.critic_obs.flatten(0, 1)
        inputs = self.controller.normalizer(features), critic.normalizer(critic_obs)
        with self._autocast():
            old_mean = self.controller.network(inputs[0]).float()
            values = critic.returns.denormalize(critic.network(inputs[1]).float().squeeze(-1))
            final_values = critic(storage.final_critic_obs)
        values = values.view(storage.steps + 1, storage.num_envs)

        advantage = generalized_advantages(
            storage.reward,
            values[:-1],
            storage.next_values(values, final_values),
            storage.terminated | storage.truncated,
            config.gamma,
            config.gae_lambda,
        )
        old_value, returns = values[:-1].flatten(), (advantage + values[:-1]).flatten()
        explained_variance = 1.0 - (returns - old_value).var() / returns.var().clamp(min=1e-12)
        critic.absorb_returns(returns)
        advantage = advantage.flatten()

        batch = Batch(
            features=inputs[0],
            critic_obs=inputs[1][: len(storage)],
            action=action,
            old_mean=old_mean,
            old_log_prob=self.noise.log_prob(action, old_mean),
            advantage=(advantage - advantage.mean()) / (advantage.std() + 1e-8),
            old_value=critic.returns.normalize(old_value),
            target=critic.returns.normalize(returns),
        )
        if self._mirror is not None and config.symmetry != "none":
            self._append_mirror_images(batch, self._mirror(features, critic_obs[: len(storage)], action))
        if self._bfloat16:  # once here instead of in every minibatch
            batch.features, batch.critic_obs = batch.features.bfloat16(), batch.critic_obs.bfloat16()
        return batch, explained_variance

    def _append_mirror_images(self, batch: Batch, mirrored: tuple[Tensor, Tensor, Tensor]) -> None:
        """Double the batch: the mirror image of a sample has its advantage, its value and its probability.

        (Mittal et al. 2024, "Symmetry considerations for learning task symmetric robot policies".)
        """
        features, critic_obs, action = mirrored
        images = {
            "features": self.controller.normalizer(features),
            "critic_obs": self.critic.normalizer(critic_obs),
            "action": action,
        }
        for name, tensor in vars(batch).items():
            setattr(batch, name, torch.cat((tensor, images.get(name, tensor))))

    def _with_mirrored(self, index: Tensor, samples: int) -> tuple[Tensor, int]:
        """Rows of a minibatch, and how many are not mirror images; those come last.

        The divergence is measured on what really happened, mirror images left out.
        """
        if self.config.symmetry == "none":
            return index, len(index)
        if self.config.symmetry == "augment":
            return torch.cat((index, index + samples)), len(index)
        half = len(index) // 2
        return torch.cat((index[half:], index[:half] + samples)), len(index) - half

    def _adapt_learning_rate(self, kl: float) -> None:
        """Steer the divergence of an update, to second order quadratic in the rate, towards `desired_kl`.

        Measured over a whole epoch, once an update: one odd minibatch cannot drive the rate to its floor.
        """
        low, high = self.config.learning_rate_range
        factor = math.sqrt(self.config.desired_kl / max(kl, 1e-8))
        self.learning_rate = min(high, max(low, self.learning_rate * min(1.5, max(0.5, factor))))

    def _set_learning_rate(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate

    def _figures(self, log: Tensor) -> dict[str, float]:
        """Means of `log` (steps, 7) over the steps taken; the divergence is that of the last epoch."""
        bad = log[:, -1] > 0.0
        self._count_bad_steps(bad.tolist())
        figures = {
            "policy/skipped_steps": float(bad.sum()),
            "policy/learning_rate": self.learning_rate,
            "policy/action_std": float(self.noise.log_std.detach().exp().mean()),
        }
        taken = log[~bad]
        if len(taken):
            policy, value, entropy, _, clip_fraction, norm, _ = taken.mean(dim=0).tolist()
            figures |= {
                "loss/policy": policy,
                "loss/value": value,
                "policy/entropy": entropy,
                "policy/kl": float(taken[-self.config.minibatches :, 3].mean()),
                "policy/clip_fraction": clip_fraction,
                "policy/gradient_norm": norm,
            }
        return figures

    def _count_bad_steps(self, bad: list[bool]) -> None:
        for one in bad:
            self.bad_steps = self.bad_steps + 1 if one else 0
            if self.bad_steps >= self.config.max_bad_steps:
                raise TrainingDivergedError(
                    f"training gave up: loss or gradient was not finite in {self.bad_steps} steps in a row;"
                    " look for a reward or an observation that is not finite, or lower ppo.learning_rate"
                )

    def _autocast(self) -> torch.autocast:
        device = self.noise.log_std.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self._bfloat16)

    def checkpoint(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        return {
            "modules": self.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learning_rate": self.learning_rate,
            "bad_steps": self.bad_steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Inverse of `checkpoint`."""
        self.load_state_dict(state["modules"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.learning_rate = state["learning_rate"]
        self.bad_steps = state["bad_steps"]


def native_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices (Intel AMX); emulation is slower than float32."""
    return torch.backends.mkldnn.is_available() and torch.cpu._is_amx_tile_supported()
