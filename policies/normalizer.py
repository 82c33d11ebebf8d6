"""Running mean and variance of batched data, as modules: saved and exported with the network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class RunningMoments(nn.Module):
    """Mean and (population) variance per feature of everything passed to `update`.

    Batches are merged by the pairwise formula of Chan, Golub and LeVeque (1979, "Updating formulae and a
    pairwise algorithm for computing sample variances"), in float64: the count grows past what float32 can add
    to within one training run. Rows that are not finite are left out: one would spoil all that follows.

    Buffers: `mean` (dim,), `var` (dim,), `count` ().

    Args:
        dim: features.
        horizon: rows that count; older ones fade once more have been seen. Infinite weighs all rows alike.
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, dim: int, horizon: float = math.inf) -> None:
        super().__init__()
        self.horizon = horizon
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("var", torch.ones(dim, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Merge the batch `x` (..., dim)."""
        rows = x.reshape(-1, self.mean.shape[0]).double()
        mean, var = _moments(rows)
        if not bool(torch.isfinite(var).all()):
            rows = rows[torch.isfinite(rows).all(dim=1)]
            mean, var = _moments(rows)
        if rows.shape[0] == 0:
            return
        total = self.count + rows.shape[0]
        share = rows.shape[0] / total
        delta = mean - self.mean
        # While count is 0 share is 1, and the placeholder variance of one carries no weight.
        self.var.mul_(1.0 - share).add_(var * share + delta.square() * share * (1.0 - share))
        self.mean.add_(delta * share)
        self.count.copy_(total.clamp(max=self.horizon))


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each column; two passes are exact enough in float64, and faster than torch's one."""
    mean = rows.mean(dim=0)
    return mean, (rows - mean).square_().mean(dim=0)


class EmpiricalNormalizer(RunningMoments):
    """Observation normaliser (x - mean) / std, clipped to [-clip, clip]; part of the exported graph.

    `update` does nothing in `eval()` mode or after `freeze()`, so that evaluation never moves the statistics.

    Args:
        dim: features.
        clip: bound of the normalised features.
        eps: added to the standard deviation: a feature that hardly varies is not blown up into noise.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, dim: int, clip: float = 10.0, eps: float = 1e-2) -> None:
        super().__init__(dim)
        self.clip = clip
        self.eps = eps
        self.frozen = False
        # The moments in float32: the forward pass, hence the exported graph, is subtract, multiply, clip.
        self.register_buffer("shift", torch.zeros(dim))
        self.register_buffer("scale", torch.full((dim,), 1.0 / (1.0 + eps)))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` (N, dim)."""
        return ((x - self.shift) * self.scale).clamp(-self.clip, self.clip)

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Merge the batch `x` (..., dim), unless frozen or in evaluation."""
        if self.frozen or not self.training:
            return
        super().update(x)
        self.shift.copy_(self.mean)
        self.scale.copy_(1.0 / (self.var.sqrt() + self.eps))

    def freeze(self) -> None:
        """Keep the statistics as they are from here on."""
        self.frozen = True


class ValueNormalizer(RunningMoments):
    """Running scale of returns: the critic learns `normalize(return)`, advantages use `denormalize(value)`.

    The value function's targets keep unit scale whatever the reward weights are, so that one learning rate
    and one clip range serve every task. Returns grow as the policy learns, so old ones fade (`horizon`).
    """

    def __init__(self, horizon: float = 1e6, eps: float = 1e-2) -> None:
        super().__init__(1, horizon)
        self.eps = eps

    def std(self) -> Tensor:
        """(1,) standard deviation, float64, kept off zero."""
        return self.var.sqrt() + self.eps

    def normalize(self, returns: Tensor) -> Tensor:
        """Returns (...) in units of reward to the critic's unit scale."""
        return (returns - self.mean.float()) / self.std().float()

    def denormalize(self, values: Tensor) -> Tensor:
        """The critic's output (...) to units of reward."""
        return values * self.std().float() + self.mean.float()
