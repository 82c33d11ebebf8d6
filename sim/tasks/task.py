"""What a task is: a robot, its commands, what the actor and the critic see, rewards, terminations, and the bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor

from contract.signals import Signal
from sim.symmetry import MirrorKind
from sim.tasks.metrics import Metric
from sim.terrains import FLAT, Terrain

if TYPE_CHECKING:
    from sim.env import VecEnv


@dataclass(frozen=True)
class RewardTerm:
    """`weight * function(env)` per second. `function` gives (N,), in units named in its docstring.

    Attributes:
        weight: positive for what is wanted, negative for what costs.
        ramped: the weight of a cost that would keep a beginner from moving grows with `Task.penalty_ramp`.
    """

    name: str
    function: Callable[[VecEnv], Tensor]
    weight: float
    ramped: bool = False


@dataclass(frozen=True)
class CriticTerm:
    """A part of the critic's privileged observation: `function(env)` gives (N, d).

    `mirror` says what its left-right mirror image is.
    """

    name: str
    function: Callable[[VecEnv], Tensor]
    mirror: MirrorKind


@dataclass(frozen=True)
class Termination:
    """The episode ends as a failure where `function(env)`, (N,) bool, holds."""

    name: str
    function: Callable[[VecEnv], Tensor]


@dataclass(frozen=True)
class TrackingError:
    """How far the robot is from what the command asks: `function(env)` gives (N,) in `unit`."""

    name: str
    unit: str
    function: Callable[[VecEnv], Tensor]


@dataclass(frozen=True)
class CommandSpec:
    """Commands drawn uniformly, held for a while, drawn again.

    Attributes:
        name: name of the command signal.
        elements: name of each component.
        lower, upper: range of each component, in the signal's units.
        hold: seconds between draws, shortest and longest.
        zero_fraction: share of draws that are all zero (stand still).
        mirror_sign: sign of each component in the left-right mirror image, where the robot has one.
    """

    name: str
    elements: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    hold: tuple[float, float]
    zero_fraction: float
    mirror_sign: tuple[float, ...] = ()


@dataclass(frozen=True)
class InitialState:
    """Spread of the first state of an episode, uniform in +- each figure around the default pose."""

    height: float = 0.0  # m, above the standing height, 0 .. height
    lin_vel: float = 0.0  # m/s
    ang_vel: float = 0.0  # rad/s
    joint_pos: float = 0.0  # rad
    joint_vel: float = 0.0  # rad/s


@dataclass(frozen=True)
class CheckCommand:
    """One named cell of the check's command grid."""

    name: str
    command: tuple[float, ...]


@dataclass(frozen=True)
class CheckSpec:
    """How a deployed artefact is judged, and the bar.

    Attributes:
        commands: the grid.
        seconds: length of an episode.
        settle: seconds after the start that do not count for tracking.
        episodes_per_command: episodes a cell.
        metrics: what is measured; the bar of each is on the mean over all cells of the mean of a cell.
        max_fall_rate: falls an episode.
        max_torque_fraction: 99th percentile of |torque| / limit.
        max_velocity_fraction: 99th percentile of |joint velocity| / limit.
    """

    commands: tuple[CheckCommand, ...]
    seconds: float
    settle: float
    episodes_per_command: int
    metrics: tuple[Metric, ...]
    max_fall_rate: float
    max_torque_fraction: float = 1.0
    max_velocity_fraction: float = 1.0


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        signals: what the actor reads, the command last; all measurable.
        error: what training shows as the distance from the goal.
        critic: what the critic sees; may read everything.
        positive_reward: the sum of an instant's terms is clipped at zero, so that an early death is never a relief.
        penalty_ramp: control steps an environment over which ramped terms grow from `penalty_start` to their weight.
    """

    name: str
    title: str
    robot: str
    control_period: float  # s
    decimation: int
    episode_seconds: float
    signals: tuple[Signal, ...]
    command: CommandSpec
    initial: InitialState
    rewards: tuple[RewardTerm, ...]
    terminations: tuple[Termination, ...]
    critic: tuple[CriticTerm, ...]
    error: TrackingError
    check: CheckSpec
    terrain: Terrain = FLAT
    positive_reward: bool = True
    penalty_ramp: int = 0
    penalty_start: float = 1.0

    @property
    def physics_dt(self) -> float:
        """Physics step in s."""
        return self.control_period / self.decimation

    def with_episode(self, seconds: float) -> Task:
        """The same task with another episode length."""
        return replace(self, episode_seconds=seconds)
