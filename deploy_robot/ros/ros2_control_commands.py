"""What a controller of ros2_control is sent for a joint command.

- `position`: Float64MultiArray of joint targets to `CONTROLLER/commands` of a forward_command_controller. The gains
  are the robot's own, so kp and kd have no effect, and a robot that shall damp is told to stay where it is.
- `effort`: Float64MultiArray of torques, kp (target - pos) - kd vel within the limits of the description. Gains and
  damping are ours, at the rate of robot_node's loop.
- `trajectory`: JointTrajectory of one point to `CONTROLLER/joint_trajectory`; else as `position`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from contract.robot import Robot
from deploy_robot.driver import Array, JointCommand, RobotState
from deploy_robot.drivers.ros2_control_address import EFFORT, TRAJECTORY

_POINT_TIME = 20_000_000  # ns from now in which a trajectory's point is to be reached


class Commands:
    """Makes the messages for one controller.

    Args:
        robot: its limits bound the torques.
        interface: of the controller.
        joints: the robot's, in the controller's order.

    Attributes:
        type: of the messages.
        topic: they go to, below the controller's name.
    """

    def __init__(self, robot: Robot, interface: str, joints: Sequence[str]) -> None:
        self._effort_limit = robot.joint_effort_limit
        self._interface = interface
        self._joints = list(joints)
        self._order = np.array([robot.joint_names.index(name) for name in joints], dtype=np.int64)
        self._hold: Array | None = None  # rad, where the robot was when it was first told to damp
        self.type: Any = JointTrajectory if interface == TRAJECTORY else Float64MultiArray
        self.topic = "joint_trajectory" if interface == TRAJECTORY else "commands"

    def message(self, command: JointCommand, state: RobotState) -> Any:
        """What to send for `command` to a robot in `state`."""
        torques = self._interface == EFFORT
        numbers = (self._torque if torques else self._position)(command, state)[self._order].tolist()
        if self._interface == TRAJECTORY:
            point = JointTrajectoryPoint(positions=numbers, time_from_start=Duration(sec=0, nanosec=_POINT_TIME))
            return JointTrajectory(joint_names=self._joints, points=[point])
        return Float64MultiArray(data=numbers)

    def _torque(self, command: JointCommand, state: RobotState) -> Array:
        torque = command.kp * (command.joint_target - state.joint_pos) - command.kd * state.joint_vel
        limited: Array = np.clip(torque, -self._effort_limit, self._effort_limit)
        return limited

    def _position(self, command: JointCommand, state: RobotState) -> Array:
        if command.kp.any():
            self._hold = None
            return command.joint_target
        if self._hold is None:
            self._hold = state.joint_pos
        return self._hold
