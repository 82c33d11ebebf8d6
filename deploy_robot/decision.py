"""What comes out of the supervisor: a mode, a command, and what is wrong."""

from dataclasses import dataclass
from enum import Enum

from deploy_robot.constraint import Reaction
from deploy_robot.driver import JointCommand


class Mode(Enum):
    """What the supervisor is doing. DAMP and STOPPED are left by an accepted reset only."""

    PASSIVE = "passive"  # joints damp; waits for request_stand
    STANDING_UP = "standing_up"
    READY = "ready"  # holds the start pose; waits for request_arm
    ACTIVE = "active"  # follows the policy
    HOLD = "hold"  # holds the start pose; returns to ACTIVE by itself when the cause is over
    SITTING_DOWN = "sitting_down"
    DAMP = "damp"  # joints damp
    STOPPED = "stopped"  # joints damp


DAMPED = (Mode.PASSIVE, Mode.DAMP, Mode.STOPPED)
LATCHED = (Mode.DAMP, Mode.STOPPED)
POLICY_DRIVES = (Mode.ACTIVE, Mode.HOLD)  # in HOLD it is cut off, but may come back by itself


@dataclass(frozen=True)
class Trip:
    """A constraint that has just been found violated."""

    time: float  # s, the `now` of that step
    constraint: str
    reaction: Reaction
    message: str


@dataclass(frozen=True, eq=False)
class Decision:
    """What one step came to.

    Attributes:
        mode: after the step.
        command: finite, within the limits and the slew limit; to be written to the driver as it is.
        reaction: the most severe one in force.
        new_trips: constraints that tripped in this step. While PASSIVE only orders to stop count as such.
        causes: what is wrong now, and what led to DAMP or STOPPED; one sentence each.
    """

    mode: Mode
    command: JointCommand
    reaction: Reaction
    new_trips: tuple[Trip, ...]
    causes: tuple[str, ...]
