"""What a safety constraint is: a figure, a limit, and what happens when `figure <= limit` does not hold."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from deploy_robot import monitors
from deploy_robot.limits import Limits

PERIODS = "control periods"


class Reaction(IntEnum):
    """What a violated constraint causes, mild to severe; the most severe one wins."""

    NONE = 0
    CLIP = 1  # the command is cut back to what is permitted, and the policy goes on
    HOLD = 2  # the policy is cut off and the robot holds its start pose, until the cause is over
    DAMP = 3  # the joints only damp, until an accepted reset
    STOP = 4  # as damp, by an order or for a cause that leaves no doubt


class Scope(Enum):
    """When a constraint is judged."""

    ROBOT = "always"
    POLICY = "policy drives"


@dataclass(slots=True)
class Reading:
    """All that a constraint may look at. Arrays may have leading axes, e.g. of environments; times in s."""

    limits: Limits
    joint_pos: Any  # (..., num_joints) rad, of the newest sound sample, as all sensor values here
    joint_vel: Any  # (..., num_joints) rad/s
    joint_torque: Any  # (..., num_joints) N m
    imu_quat: Any  # (..., 4) w, x, y, z, world_from_imu
    state_faults: Any  # numbers of the newest sample that are not usable, of any age
    state_age: Any  # since the newest sound sample was taken
    state_frozen: Any  # for how long new samples have brought the same joint or the same IMU values
    target: Any  # (..., num_joints) rad, the newest sound one
    previous_target: Any  # (..., num_joints) rad, the one before
    target_interval: Any  # between those two, not below a control period
    target_faults: Any  # numbers of the newest target that are not usable
    target_age: Any  # since the newest sound target was received
    target_delay: Any  # since the sensor sample was taken that it was made from
    step_time: Any  # since the last step of the supervisor
    clock_faults: Any  # steps in a row in which the clock did not advance
    stand_overdue: Any  # since the end of the stand-up motion without being near the start pose
    stop_requests: Any  # since the last step
    stop_reason: str  # of the newest of them


@dataclass(frozen=True)
class Constraint:
    """One row.

    Attributes:
        name: identifier, also the key of its limit in a bundle's `monitors`.
        meaning: one sentence for the operator.
        figure: what is compared; (..., num_joints) where `joints` is set, else (...).
        limit: the default, and the largest value that a bundle may set.
        unit: of figure and limit.
        reaction: what a violation causes.
        trip_after: s that a violation must last; 0 trips on the first sample.
        release_after: s without violation until it counts as over.
        scope: when it is judged.
        joints: whether the figure has one value a joint.
        detail: what to tell the operator in place of figure and limit.
    """

    name: str
    meaning: str
    figure: Callable[[Reading], Any]
    limit: float
    unit: str
    reaction: Reaction
    trip_after: float
    release_after: float
    scope: Scope = Scope.ROBOT
    joints: bool = False
    detail: Callable[[Reading], str] | None = None

    def worst(self, reading: Reading) -> Any:
        """The figure (...), of the worst joint where it has one a joint."""
        figure = self.figure(reading)
        return monitors.worst(figure) if self.joints else figure

    @property
    def clears(self) -> str:
        """How it ends once its cause is over, in words."""
        after = f", {self.release_after:g} s later" if self.release_after else ""
        return ("by a reset" if self.reaction >= Reaction.DAMP else "by itself") + after
