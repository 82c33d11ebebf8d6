"""The border between ROS messages and the project's conventions: stamps, joint order, quaternions (ROS: x, y,
z, w).

Everything that comes in is judged by shape and names, never repaired; numbers that are not finite pass
through to the supervisor.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import Imu, JointState

from contract.errors import LandbridgeError
from deploy_robot.driver import Array, RobotState

BUNDLE_FRAME = "bundle:"
"""What the frame of a joint target begins with that says which bundle it comes from."""

_NANOSECONDS = 1_000_000_000
_SHOWN = 80  # characters of a name that somebody else chose
_REMEMBERED = 2000  # stamps: ten seconds of samples at 200 Hz


class MessageError(LandbridgeError):
    """A message that is refused, with the field that is wrong."""


class Clock(Protocol):
    """Converts between the steady clock, which everything here goes by, and ROS time, which messages carry."""

    def to_ros(self, stamp: float) -> Time:
        """Steady time in s to a ROS stamp."""
        ...

    def from_ros(self, stamp: Time) -> float:
        """ROS stamp to steady time in s."""
        ...


class StampClock:
    """Converts between the steady clock and ROS time by an offset that is taken once.

    The offset is not followed when the wall clock is set, so stamps stay monotonic and convert back exactly
    enough (1 ns) to recognise the sample that they belong to.

    Args:
        ros_nanoseconds: ROS time now.
    """

    def __init__(self, ros_nanoseconds: int) -> None:
        self._offset = ros_nanoseconds - time.monotonic_ns()

    def to_ros(self, stamp: float) -> Time:
        """Steady time in s to a ROS stamp."""
        seconds, nanoseconds = divmod(round(stamp * _NANOSECONDS) + self._offset, _NANOSECONDS)
        return Time(sec=seconds, nanosec=nanoseconds)

    def from_ros(self, stamp: Time) -> float:
        """ROS stamp to steady time in s."""
        return (stamp_key(stamp) - self._offset) / _NANOSECONDS


class SimStampClock:
    """Converts where ROS time is a simulator's (`use_sim_time`), which may run slow, stand still or jump back.

    Stamps that were given out are remembered, so that a target finds the sample that it was made from whatever the
    simulator's clock has done since. Watchdogs never see this clock.

    Args:
        ros_nanoseconds: gives ROS time now.
    """

    def __init__(self, ros_nanoseconds: Callable[[], int]) -> None:
        self._ros_nanoseconds = ros_nanoseconds
        self._given: dict[int, float] = {}
        self._order: deque[int] = deque()

    def to_ros(self, stamp: float) -> Time:
        """Steady time in s to a ROS stamp."""
        key = self._ros_nanoseconds() - round((time.monotonic() - stamp) * _NANOSECONDS)
        if key not in self._given:
            self._order.append(key)
            if len(self._order) > _REMEMBERED:
                del self._given[self._order.popleft()]
        self._given[key] = stamp
        seconds, nanoseconds = divmod(key, _NANOSECONDS)
        return Time(sec=seconds, nanosec=nanoseconds)

    def from_ros(self, stamp: Time) -> float:
        """ROS stamp to steady time in s: exactly for one that was given out, else by the distance from now."""
        key = stamp_key(stamp)
        if key in self._given:
            return self._given[key]
        return time.monotonic() - (self._ros_nanoseconds() - key) / _NANOSECONDS


def stamp_clock(node: Node) -> Clock:
    """The clock that `node`'s parameter `use_sim_time` asks for."""
    if node.get_parameter("use_sim_time").value:
        return SimStampClock(lambda: int(node.get_clock().now().nanoseconds))
    return StampClock(node.get_clock().now().nanoseconds)


def stamp_key(stamp: Time) -> int:
    """A ROS stamp as one number, ns."""
    return int(stamp.sec) * _NANOSECONDS + int(stamp.nanosec)


class JointOrder:
    """Brings the arrays of JointState messages into the order of `names`.

    Args:
        names: joints that a message must have, no more and no less.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._seen: list[str] | None = None  # senders keep their order, so it is worked out once
        self._permutation = np.arange(0)

    def read(self, message: JointState, field: str) -> Array:
        """One array of `message` (`position`, `velocity` or `effort`), (num_joints,) float64 in our order.

        Raises:
            MessageError: names the joint that is unknown, missing or duplicate, or the array of wrong length.
        """
        if message.name != self._seen:
            self._permutation = self._match(message.name)
            self._seen = list(message.name)
        values = getattr(message, field)
        if len(values) != len(self._names):
            raise MessageError(f"{field} has {len(values)} numbers for {len(self._names)} joints")
        return np.array(values, dtype=np.float64)[self._permutation]

    def _match(self, received: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        index: dict[str, int] = {}
        for i, name in enumerate(received):
            if name not in self._names:
                raise MessageError(f"name[{i}]: unknown joint {name[:_SHOWN]!r}")
            if name in index:
                raise MessageError(f"name[{i}]: duplicate joint {name!r}")
            index[name] = i
        for name in self._names:
            if name not in index:
                raise MessageError(f"name: joint {name!r} is missing")
        return np.array([index[name] for name in self._names], dtype=np.int64)


def joint_state_message(names: Sequence[str], state: RobotState, stamp: Time) -> JointState:
    """Positions, velocities and, where the robot gives them, torques."""
    message = JointState()
    message.header.stamp = stamp
    message.name = list(names)
    message.position = state.joint_pos.tolist()
    message.velocity = state.joint_vel.tolist()
    if state.joint_torque is not None:
        message.effort = state.joint_torque.tolist()
    return message


def joint_target_message(names: Sequence[str], target: Array, stamp: Time, frame: str = "") -> JointState:
    """Joint targets as positions.

    Args:
        stamp: of the sensor sample that they were computed from.
        frame: `BUNDLE_FRAME` and the `control_digest` of the bundle that they come from: targets have no other frame.
    """
    message = JointState()
    message.header.stamp = stamp
    message.header.frame_id = frame
    message.name = list(names)
    message.position = target.tolist()
    return message


def imu_message(state: RobotState, stamp: Time, frame: str) -> Imu:
    """Orientation, angular velocity and, where the robot gives it, acceleration; covariances unknown (0)."""
    message = Imu()
    message.header.stamp = stamp
    message.header.frame_id = frame
    quat, rate, into = state.imu_quat.tolist(), state.gyro.tolist(), message
    into.orientation.w, into.orientation.x, into.orientation.y, into.orientation.z = quat
    into.angular_velocity.x, into.angular_velocity.y, into.angular_velocity.z = rate
    if state.accel is None:
        message.linear_acceleration_covariance[0] = -1.0  # sensor_msgs/Imu: no estimate of this quantity
    else:
        linear = message.linear_acceleration
        linear.x, linear.y, linear.z = state.accel.tolist()
    return message


def imu_quat(message: Imu) -> Array:
    """(4,) w, x, y, z: world_from_imu."""
    q = message.orientation
    return np.array([q.w, q.x, q.y, q.z])


def gyro(message: Imu) -> Array:
    """(3,) rad/s, IMU frame."""
    rate = message.angular_velocity
    return np.array([rate.x, rate.y, rate.z])


def velocity_command(twist: Twist) -> dict[str, float]:
    """The components of a planar velocity command in the base frame by the names that contracts use."""
    return {"vx": twist.linear.x, "vy": twist.linear.y, "yaw_rate": twist.angular.z}


def velocity_message(vx: float, vy: float, yaw_rate: float, stamp: Time) -> TwistStamped:
    """A velocity command: m/s, m/s, rad/s in the base frame."""
    message = TwistStamped()
    message.header.stamp = stamp
    message.header.frame_id = "base"
    message.twist.linear.x, message.twist.linear.y, message.twist.angular.z = vx, vy, yaw_rate
    return message
