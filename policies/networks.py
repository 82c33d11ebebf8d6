"""Multi-layer perceptrons for actors and critics, and the exploration noise of a stochastic policy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from contract.errors import UsageError
from policies.normalizer import EmpiricalNormalizer, ValueNormalizer

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


def mlp(
    in_dim: int,
    hidden: Sequence[int],
    out_dim: int,
    activation: str = "elu",
    output_gain: float = 0.01,
) -> nn.Sequential:
    """Fully connected network (N, in_dim) -> (N, out_dim) with a linear last layer.

    Hidden weights are orthogonal with gain sqrt(2), biases zero. An actor wants a small `output_gain`: its
    first actions are then almost zero whatever it observes, so that the robot starts from its default pose.
    A critic wants 1. (Andrychowicz et al. 2021, "What matters in on-policy reinforcement learning?", 3.2.)

    Raises:
        UsageError: `activation` is not one of `ACTIVATIONS`.
    """
    if activation not in ACTIVATIONS:
        raise UsageError(f"activation '{activation}' is unknown: known are {', '.join(ACTIVATIONS)}")
    layers: list[nn.Module] = []
    width = in_dim
    for size in hidden:
        layers += [_linear(width, size, math.sqrt(2.0)), ACTIVATIONS[activation]()]
        width = size
    layers.append(_linear(width, out_dim, output_gain))
    return nn.Sequential(*layers)


def _linear(in_dim: int, out_dim: int, gain: float) -> nn.Linear:
    layer = nn.Linear(in_dim, out_dim)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


class Critic(nn.Module):
    """Value function of a privileged observation, with its own normalisers of observations and returns."""

    def __init__(self, in_dim: int, hidden: Sequence[int], activation: str = "elu") -> None:
        super().__init__()
        self.normalizer = EmpiricalNormalizer(in_dim)
        self.network = mlp(in_dim, hidden, 1, activation, output_gain=1.0)
        self.returns = ValueNormalizer()

    def forward(self, critic_obs: Tensor) -> Tensor:
        """Value (N,) in units of reward of raw observations (N, in_dim)."""
        normalized: Tensor = self.network(self.normalizer(critic_obs)).squeeze(-1)
        return self.returns.denormalize(normalized.float())

    @torch.no_grad()
    def absorb_returns(self, returns: Tensor) -> None:
        """Update the return statistics with `returns` (...); rescale the last layer so that no value changes.

        (van Hasselt et al. 2016, "Learning values across many orders of magnitude", PopArt, equation 9.)
        """
        layer = self.network[-1]
        assert isinstance(layer, nn.Linear)
        old_mean, old_std = self.returns.mean.clone(), self.returns.std()
        self.returns.update(returns.reshape(-1, 1))
        new_mean, new_std = self.returns.mean, self.returns.std()
        layer.weight.mul_((old_std / new_std).float())
        layer.bias.copy_((old_std * layer.bias.double() + old_mean - new_mean) / new_std)


class GaussianNoise(nn.Module):
    """Exploration noise: Gaussian about the mean action, its standard deviation learned, one for all states.

    Not part of the controller: what is exported acts on the mean.
    """

    def __init__(self, action_dim: int, init_std: float, std_range: tuple[float, float]) -> None:
        super().__init__()
        self.log_std = nn.Parameter(torch.full((action_dim,), math.log(init_std)))
        self._bounds = (math.log(std_range[0]), math.log(std_range[1]))

    def sample(self, mean: Tensor) -> Tensor:
        """Action (N, A) about `mean` (N, A), from torch's default generator."""
        return torch.addcmul(mean, torch.randn_like(mean), self.log_std.exp())

    def log_prob(self, action: Tensor, mean: Tensor) -> Tensor:
        """Log density (N,) of `action` (N, A)."""
        z = (action - mean) * torch.exp(-self.log_std)
        constant = self.log_std.sum() + 0.5 * math.log(2.0 * math.pi) * mean.shape[-1]
        return -0.5 * z.square().sum(-1) - constant

    def entropy(self) -> Tensor:
        """Entropy () in nats, of any state."""
        return self.log_std.sum() + 0.5 * (1.0 + math.log(2.0 * math.pi)) * self.log_std.shape[0]

    @torch.no_grad()
    def clamp_(self) -> None:
        """Return the standard deviation to its bounds."""
        self.log_std.clamp_(*self._bounds)


def gaussian_kl(old_mean: Tensor, old_log_std: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """KL divergence (N,) of diagonal Gaussians, old from new: D(old || new)."""
    ratio = torch.exp(2.0 * (old_log_std - log_std))
    distance = ((mean - old_mean) * torch.exp(-log_std)).square()
    return (0.5 * (ratio + distance - 1.0) + log_std - old_log_std).sum(-1)
