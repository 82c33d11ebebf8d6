"""What a joint's motor does with a command: a position loop under the limits of torque and speed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.robot import Robot

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MotorModel:
    """Position loops and torque limits of all joints; arrays are (joints,).

    The available torque follows a DC motor's line: `stall_ratio * effort_limit` at rest, falling linearly to
    zero at the no-load speed, and cut off at `effort_limit` by the current limit. With a ratio of 2 a motor
    gives its full torque up to half of its top speed. Against the motion (braking) the full torque is there
    at any speed.
    """

    effort_limit: Array  # N m
    no_load_speed: Array  # rad/s
    strength: Array  # torque that arrives, over torque that the controller believes in
    stall_ratio: float = 2.0

    @classmethod
    def of(cls, robot: Robot, strength: Array) -> "MotorModel":
        """The robot's motors with the given strength factor (joints,)."""
        return cls(robot.joint_effort_limit, robot.joint_velocity_limit, strength)

    def commanded(
        self,
        target: Array,
        kp: Array,
        kd: Array,
        pos: Array,
        vel: Array,
        target_vel: Array | float = 0.0,
        torque: Array | float = 0.0,
    ) -> Array:
        """Torque that the controllers ask for and report, N m.

        It is kp (target - pos) + kd (target_vel - vel) + torque, limited.
        """
        line = self.stall_ratio * self.effort_limit
        forward = np.clip(line * (1.0 - vel / self.no_load_speed), 0.0, self.effort_limit)
        backward = np.clip(line * (-1.0 - vel / self.no_load_speed), -self.effort_limit, 0.0)
        return np.clip(kp * (target - pos) + kd * (target_vel - vel) + torque, backward, forward)

    def delivered(self, commanded: Array) -> Array:
        """Torque at the joint, N m."""
        return self.strength * commanded
