"""Settings of the algorithm and of the training loop."""

from dataclasses import dataclass
from typing import Literal

from contract.errors import UsageError


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimisation (Schulman et al. 2017) with an asymmetric critic.

    Attributes:
        rollout_steps: control steps an environment between updates.
        epochs: passes over the rollout in one update.
        minibatches: parts that the rollout is shuffled into, each epoch anew.
        gamma: discount a control step.
        gae_lambda: lambda of generalised advantage estimation (Schulman et al. 2016).
        clip: policy ratio is clipped to [1 - clip, 1 + clip].
        value_clip: value may move by this many standard deviations of the return before it is clipped.
        value_coef: weight of the value loss.
        entropy_coef: weight of the entropy bonus.
        max_grad_norm: gradient norm, actor and critic together, is clipped to this.
        learning_rate: of Adam at the start.
        schedule: `adaptive` holds the divergence of one update at `desired_kl`; `linear` falls to zero at the
            end of the budget; `constant` stays.
        desired_kl: mean KL divergence between the policies before and in the last epoch of an update.
        learning_rate_range: bounds of the adaptive rate.
        critic_hidden: widths of the critic's hidden layers.
        activation: of the critic's hidden layers.
        init_std: standard deviation of the exploration noise at the start, in units of the action.
        std_range: bounds of that standard deviation.
        symmetry: `augment` adds the mirror image of every sample to its minibatch (twice the work), `random`
            replaces a random half of each minibatch by its mirror image (no extra work), `none` does neither.
        precision: arithmetic of the networks in the update: `float32`, `bfloat16` (autocast), or `auto`:
            bfloat16 where the processor multiplies it natively.
        compile: fuse the loss with torch.compile: tens of seconds once, then a faster update.
        max_bad_steps: gradient steps in a row with a non-finite loss or gradient before training is given up.
    """

    rollout_steps: int = 24
    epochs: int = 5
    minibatches: int = 4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.2
    value_coef: float = 1.0
    entropy_coef: float = 0.005
    max_grad_norm: float = 1.0
    learning_rate: float = 1e-3
    schedule: Literal["adaptive", "linear", "constant"] = "adaptive"
    desired_kl: float = 0.01
    learning_rate_range: tuple[float, float] = (1e-5, 1e-2)
    critic_hidden: tuple[int, ...] = (128, 128, 128)
    activation: str = "elu"
    init_std: float = 1.0
    std_range: tuple[float, float] = (0.05, 2.0)
    symmetry: Literal["none", "augment", "random"] = "none"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    max_bad_steps: int = 40

    def __post_init__(self) -> None:
        for name in ("rollout_steps", "epochs", "minibatches", "max_bad_steps"):
            _require(getattr(self, name) >= 1, f"ppo.{name}", "at least 1", getattr(self, name))
        for name in ("clip", "value_clip", "max_grad_norm", "learning_rate", "desired_kl", "init_std"):
            _require(getattr(self, name) > 0.0, f"ppo.{name}", "above 0", getattr(self, name))
        for name in ("gamma", "gae_lambda"):
            _require(0.0 <= getattr(self, name) <= 1.0, f"ppo.{name}", "between 0 and 1", getattr(self, name))
        for name in ("learning_rate_range", "std_range"):
            low, high = getattr(self, name)
            _require(0.0 < low <= high, f"ppo.{name}", "two numbers, 0 < low <= high", (low, high))


@dataclass(frozen=True)
class TrainConfig:
    """Budget, checkpoints and threads of a training run. Training ends when the first budget is spent.

    Attributes:
        steps: control steps of all environments together; None for no such limit.
        minutes: wall-clock time, earlier parts of a resumed run included; None for no such limit.
        checkpoint_every: iterations between checkpoints.
        keep_checkpoints: the newest so many are kept.
        collect_threads: torch threads while the environments step; their networks are small, one is fastest.
        update_threads: torch threads of the update. Two on a machine that is busy lose more than they gain.
    """

    steps: int | None = 5_000_000
    minutes: float | None = None
    checkpoint_every: int = 50
    keep_checkpoints: int = 3
    collect_threads: int = 1
    update_threads: int = 1

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise UsageError("train.steps and train.minutes: one of them must be given, or training never ends")
        if self.steps is not None:
            _require(self.steps >= 1, "train.steps", "at least 1", self.steps)
        if self.minutes is not None:
            _require(self.minutes > 0.0, "train.minutes", "above 0", self.minutes)
        for name in ("checkpoint_every", "keep_checkpoints", "collect_threads", "update_threads"):
            _require(getattr(self, name) >= 1, f"train.{name}", "at least 1", getattr(self, name))


def _require(holds: bool, field: str, what: str, given: object) -> None:
    if not holds:
        raise UsageError(f"{field}: must be {what}, got {given}")
