"""What a sweep is asked and what it found."""

import math
from dataclasses import dataclass
from typing import Literal

from contract.errors import UsageError
from policies.sweep.joint import Effect
from policies.sweep.ranges import LeftOut

Others = Literal["training", "nominal"]


@dataclass(frozen=True)
class Settings:
    """What is varied, how far, and how often.

    Distances are in halves of a parameter's training range, from its middle.

    Attributes:
        parameters: that are varied; all that can be if empty.
        others: what the other parameters are meanwhile, drawn as in training or nominal.
        levels: of each parameter on each side of the middle.
        reach: the farthest level.
        repeats: episodes of each level.
        share: of successes below which the policy counts as failing.
        trajectories: of Morris' design; 0 leaves out what parameters do jointly.
        joint_reach: how far parameters go jointly.
        joint_repeats: episodes of each point of that design.
    """

    parameters: tuple[str, ...] = ()
    others: Others = "training"
    levels: int = 4
    reach: float = 4.0
    repeats: int = 16
    share: float = 0.8
    trajectories: int = 10
    joint_reach: float = 1.5
    joint_repeats: int = 4

    def __post_init__(self) -> None:
        for name in ("levels", "repeats", "joint_repeats"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', '-')}: must be at least 1, got {getattr(self, name)}")
        if self.trajectories < 0 or self.trajectories == 1:
            raise UsageError(
                f"trajectories: must be 0 for none, or at least 2, since one says nothing of the spread of effects,"
                f" got {self.trajectories}"
            )
        for name in ("reach", "joint_reach"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise UsageError(
                    f"{name.replace('_', '-')}: must be above 0, in halves of the training range, got {value:g}"
                )
        if not 0.0 < self.share <= 1.0:
            raise UsageError(f"share: must be above 0 and at most 1, got {self.share:g}")
        if len(set(self.parameters)) < len(self.parameters):
            raise UsageError(f"parameters: name each once, got {', '.join(self.parameters)}")


@dataclass(frozen=True)
class Bound:
    """What an episode has to keep to.

    Attributes:
        limit: bar of the check on the mean over all.
        most: that an episode may have, its command allowed for.
    """

    name: str
    unit: str
    limit: float
    most: float


@dataclass(frozen=True)
class Level:
    """Episodes with a parameter held at one value.

    Attributes:
        value: in the parameter's unit.
        offset: in halves of the training range, from its middle.
        success, low, high: share of successes and its 95 % interval.
        error: mean of the task's first measure with a bar, over what came before a fall; None where there is nothing.
    """

    value: float
    offset: float
    episodes: int
    successes: int
    falls: int
    success: float
    low: float
    high: float
    error: float | None


@dataclass(frozen=True)
class Side:
    """How far a policy holds on one side of the middle of a training range.

    Attributes:
        margin: distance at which the success rate falls below the share that is asked for, 1 at the end of the training
            range; None where it never does.
        value: there, in the parameter's unit; None likewise.
        low, high: 90 % interval of `margin`, None for one that is beyond the last level.
        tried: distance of the last level. limit: whether that is as far as is physically possible.
    """

    margin: float | None
    value: float | None
    low: float | None
    high: float | None
    tried: float
    limit: bool


@dataclass(frozen=True)
class ParameterSweep:
    """One parameter on its own. `low` and `high` are the ends of its training range."""

    parameter: str
    unit: str
    low: float
    high: float
    levels: tuple[Level, ...]
    below: Side
    above: Side

    @property
    def margin(self) -> float:
        """The smaller of both margins; infinite where the policy never fails."""
        return min(math.inf if side.margin is None else side.margin for side in (self.below, self.above))


@dataclass(frozen=True)
class Joint:
    """All parameters at once.

    Attributes:
        success: share of the episodes.
        floor: effect that is no more than chance.
        effects: on the share of failures, largest first.
    """

    episodes: int
    success: float
    floor: float
    effects: tuple[Effect, ...]

    def stands_out(self, effect: Effect) -> bool:
        """Whether an effect is more than chance, its own uncertainty allowed for."""
        return effect.mu_star - effect.confidence > self.floor


@dataclass(frozen=True)
class SweepResult:
    """What the sweep found, parameters with the smallest margin first.

    Attributes:
        error, unit: what `Level.error` is.
        bounds: what an episode has to keep to, beside not falling, in order to succeed.
        reference: share of successes with nothing held, of `reference_episodes`.
        not_set: of what training draws, parameters that the engine does not have.
        steps: control steps of all robots together. wall_time: s.
    """

    bundle: str
    digest: str
    task: str
    robot: str
    engine: str
    seed: int
    settings: Settings
    seconds: float
    error: str
    unit: str
    bounds: tuple[Bound, ...]
    reference: float
    reference_episodes: int
    parameters: tuple[ParameterSweep, ...]
    joint: Joint | None
    left_out: tuple[LeftOut, ...]
    steps: int
    wall_time: float
    was_signed: bool
