"""What a policy asks of the robot."""

from dataclasses import dataclass

from deploy_robot.driver import Array


@dataclass(frozen=True, eq=False)
class Target:
    """A policy's joint target. Both times are on the clock that the supervisor is given as `now`.

    Attributes:
        stamp: s, stamp of the sensor sample that it was computed from.
        received: s, when it arrived.
        joint_target: (num_joints,) rad, in the order of the robot description.
    """

    stamp: float
    received: float
    joint_target: Array
