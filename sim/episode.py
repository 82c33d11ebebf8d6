"""What a control step and an episode leave behind."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class StepResult:
    """What one control step did, one row an environment.

    `terminated` is a failure, `truncated` the end of time; `final_critic_obs` holds the critic's view of the last
    state of the truncated environments, in the order of `truncated.nonzero()`, to bootstrap their value.
    """

    reward: Tensor  # (N,)
    terminated: Tensor  # (N,) bool
    truncated: Tensor  # (N,) bool
    done: Tensor  # (N,) bool
    diverged: Tensor  # (N,) bool
    final_critic_obs: Tensor  # (n_truncated, critic_dim)
    reward_terms: dict[str, Tensor]  # weighted, per step, each (N,)
    tracking_error: Tensor  # (N,) m/s, horizontal


@dataclass(frozen=True)
class Episode:
    """A finished episode; (seed, env, episode) is enough to draw its parameters again."""

    env: int
    episode: int
    steps: int
    terminated: bool
    diverged: bool
    total_reward: float
