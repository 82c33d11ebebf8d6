"""robot_node lets the supervisor judge what the operator asks the policy for."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import toy_policy
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from deploy_robot.ros import qos
from deploy_robot.ros.robot_node import RobotNode
from deploy_robot.ros.spin import make_executor
from deploy_robot.ros_environment import applied, claimed_domain, environment
from deploy_robot.supervisor import Supervisor

PATIENCE = 60.0  # s


class SilentDriver:
    """A robot that says nothing."""

    def read(self) -> None:
        return None

    def write(self, command: object) -> None:
        pass


@pytest.fixture
def context(tmp_path: Path) -> Iterator["rclpy.Context"]:
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        yield context
        context.try_shutdown()


@pytest.mark.parametrize("topic", ["cmd_vel", "cmd_vel_unstamped"])
def test_the_supervisor_sees_the_command(context: "rclpy.Context", topic: str) -> None:
    supervisor = Supervisor(toy_policy.ROBOT, toy_policy.contract())
    node, operator = Node("robot_node", context=context), Node("operator", context=context)
    robot_node = RobotNode(node, toy_policy.ROBOT, SilentDriver(), supervisor)  # type: ignore[arg-type]
    type_ = TwistStamped if topic == "cmd_vel" else Twist
    publisher = operator.create_publisher(type_, topic, qos.STREAM_PUBLISHER)
    message = type_()
    (message.twist if topic == "cmd_vel" else message).linear.x = 2.5
    executor = make_executor(context)
    executor.add_node(node)
    robot_node.tick(time.monotonic())
    assert supervisor.reading is not None
    assert supervisor.reading.command is None
    assert "command_range" in supervisor.unjudged
    deadline = time.monotonic() + PATIENCE
    while supervisor.reading.command is None:
        assert time.monotonic() < deadline
        publisher.publish(message)
        executor.spin_once(timeout_sec=0.01)
        robot_node.tick(time.monotonic())
    assert supervisor.reading.command.tolist() == [2.5]
    assert "command_range" not in supervisor.unjudged
