"""Driver of any robot under ros2_control: its broadcasters' joint states and IMU in, one of its controllers out."""

import time
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Imu, JointState

from contract.errors import LandbridgeError
from contract.robot import Robot
from deploy_robot.driver import Capabilities, JointCommand, RobotState
from deploy_robot.drivers.ros2_control_address import parse_address
from deploy_robot.ros import conversions, qos
from deploy_robot.ros.conversions import JointOrder, stamp_key
from deploy_robot.ros.ros2_control_commands import Commands
from deploy_robot.ros.spin import guarded

_OPEN_TIMEOUT = 10.0  # s; discovery takes some of it
_POLL_PERIOD = 0.005  # s
_CALLBACKS_A_READ = 16  # a flood on a topic must not hold up the control loop
_CHECK_PERIOD = 1.0  # s between looks at who else publishes the robot's joint states


class Ros2ControlDriver:
    """A `deploy_robot.driver.Driver`; a ROS node of a context of its own.

    A sample needs a new message from both broadcasters, so that neither can fall silent unnoticed. It is stamped when
    it arrived: the controller manager may run by another clock.

    Args:
        robot: its joints must be those of the controller.
        address: see `deploy_robot.drivers.ros2_control_address`.
        listen_only: ask nothing of the controller, which need not run; `write` is refused.

    Raises:
        UsageError: an address that cannot be read.
    """

    def __init__(self, robot: Robot, address: str = "", listen_only: bool = False) -> None:
        self._robot = robot
        self._address = parse_address(address)
        self._listen_only = listen_only
        self._context: rclpy.Context | None = None
        self._node: Node
        self._executor: SingleThreadedExecutor
        self._commands: Commands | None = None
        self._publisher: Any = None
        self._joint: JointState | None = None  # each is None again once it is part of a sample
        self._imu: Imu | None = None
        self._reader = JointOrder(robot.joint_names)
        self._state: RobotState | None = None
        self._heard = 0  # messages
        self._next_check = 0.0
        self.rejected_frames = 0  # messages that were no sound states of this robot

    @property
    def capabilities(self) -> Capabilities:
        """See `Driver`. What a controller does when commands stop is its own affair: no watchdog is promised."""
        return Capabilities(state_rate=100.0, watchdog=None, hardware=True)

    def open(self) -> None:
        """See `Driver`. Asks the controller which joints it commands, and in which order."""
        self._context = rclpy.Context()
        try:
            rclpy.init(
                args=["--ros-args", "--disable-external-lib-logs"],
                context=self._context,
                domain_id=self._address.domain,
                signal_handler_options=SignalHandlerOptions.NO,
            )
            self._node = Node("landbridge_driver", context=self._context, start_parameter_services=False)
            self._executor = SingleThreadedExecutor(context=self._context)
            self._executor.add_node(self._node)
            for message, topic, callback in (
                (JointState, self._address.joint_states, self._on_joint_state),
                (Imu, self._address.imu, self._on_imu),
            ):
                self._node.create_subscription(message, topic, guarded(callback, self._reject), qos.STREAM_SUBSCRIBER)
            if not self._listen_only:
                self._find_controller()
            self._await(lambda: self.read() is not None, self._no_state)
        except LandbridgeError:
            self.close()
            raise

    def read(self) -> RobotState | None:
        """See `Driver`."""
        if self._context is None:
            raise LandbridgeError("the driver of ros2_control is not open")
        for _ in range(_CALLBACKS_A_READ):
            before = self._heard
            self._executor.spin_once(timeout_sec=0.0)
            if self._heard == before:
                break
        return self._state

    def write(self, command: JointCommand) -> None:
        """See `Driver`."""
        if self._commands is None or self._state is None:
            raise LandbridgeError("the driver of ros2_control is not open, or only listens")
        self._check_for_others()
        self._publisher.publish(self._commands.message(command, self._state))

    def close(self) -> None:
        """See `Driver`."""
        if self._context is not None:
            if self._context.ok():
                self._context.try_shutdown()
            self._context = self._commands = self._publisher = self._state = self._joint = self._imu = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _on_joint_state(self, message: JointState) -> None:
        self._heard += 1
        self._joint = message
        self._make_sample()

    def _on_imu(self, message: Imu) -> None:
        self._heard += 1
        self._imu = message
        self._make_sample()

    def _make_sample(self) -> None:
        joint, imu = self._joint, self._imu
        if joint is None or imu is None:
            return
        self._joint = self._imu = None
        acceleration = imu.linear_acceleration
        given = imu.linear_acceleration_covariance[0] != -1.0  # sensor_msgs/Imu: no estimate of this quantity
        self._state = RobotState(
            stamp=time.monotonic(),
            seq=stamp_key(joint.header.stamp),
            joint_pos=self._reader.read(joint, "position"),
            joint_vel=self._reader.read(joint, "velocity"),
            imu_quat=conversions.imu_quat(imu),
            gyro=conversions.gyro(imu),
            joint_torque=self._reader.read(joint, "effort") if len(joint.effort) else None,
            accel=np.array([acceleration.x, acceleration.y, acceleration.z]) if given else None,
        )

    def _reject(self, error: Exception) -> None:
        self.rejected_frames += 1
        self._node.get_logger().error(str(error), throttle_duration_sec=1.0)

    def _find_controller(self) -> None:
        controller = self._address.controller
        commands = Commands(self._robot, self._address.interface, self._ask_for_joints(controller))
        topic, type_ = f"{controller}/{commands.topic}", commands.type
        publisher = self._node.create_publisher(type_, topic, qos.STREAM_PUBLISHER)
        deaf = f"controller {controller} takes no {type_.__name__} on {commands.topic}: is it active?"
        self._await(lambda: publisher.get_subscription_count() > 0, lambda: deaf)
        self._commands, self._publisher = commands, publisher

    def _ask_for_joints(self, controller: str) -> list[str]:
        """The controller's joints, in its order."""
        client = self._node.create_client(GetParameters, f"{controller}/get_parameters")
        self._await(client.service_is_ready, lambda: f"there is no controller {controller}")
        future = client.call_async(GetParameters.Request(names=["joints"]))
        self._await(future.done, lambda: f"controller {controller} does not say which joints it has")
        joints = [name for value in future.result().values for name in value.string_array_value]
        if sorted(joints) != sorted(self._robot.joint_names):
            has = ", ".join(joints) or "none"
            raise self._error(f"controller {controller} has joints {has}, not those of {self._robot.name}")
        return joints

    def _check_for_others(self) -> None:
        """Once a second: our own robot_node may publish to the topic that this driver listens to."""
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + _CHECK_PERIOD
        topic = self._address.joint_states
        if self._node.count_publishers(topic) > 1:
            raise self._error(f"more than one node publishes {topic}: give Landbridge's nodes a namespace or a domain")

    def _await(self, condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
        deadline = time.monotonic() + _OPEN_TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise self._error(complaint())
            self._executor.spin_once(timeout_sec=_POLL_PERIOD)

    def _error(self, complaint: str) -> LandbridgeError:
        return LandbridgeError(f"ros2_control: {complaint} (docs/drivers.md)")

    def _no_state(self) -> str:
        address = self._address
        unsound = f"; {self.rejected_frames} messages were refused" if self.rejected_frames else ""
        return f"no state of a {self._robot.name} on {address.joint_states} and {address.imu}{unsound}"
