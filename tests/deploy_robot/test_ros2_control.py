"""The ros2_control driver against a node that plays controller manager, broadcasters and controller, over real DDS."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("trajectory_msgs", reason="trajectory_msgs is not installed")

from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from contract import robots
from contract.errors import LandbridgeError, UsageError
from deploy_robot import drivers
from deploy_robot.driver import JointCommand, RobotState
from deploy_robot.drivers.ros2_control_address import Address, parse_address
from deploy_robot.ros import ros2_control
from deploy_robot.ros.ros2_control import Ros2ControlDriver
from deploy_robot.ros_environment import applied, claimed_domain, environment

ROBOT = robots.load("unitree_go2")
N = ROBOT.num_joints
NAMES = tuple(reversed(ROBOT.joint_names))  # the controller's order is not the description's
PATIENCE = 60.0  # s


class ControlledRobot:
    """What ros2_control shows of a robot: 100 samples a second, joint j at j / 10 rad; keeps what is commanded."""

    def __init__(self, domain: int, joints: tuple[str, ...] = NAMES) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("legs", context=self._context)
        self._node.declare_parameter("joints", list(joints))
        self._joints = self._node.create_publisher(JointState, "/joint_states", 10)
        self._imu = self._node.create_publisher(Imu, "/imu_sensor_broadcaster/imu", 10)
        self.commands: list[Any] = []
        for type_, topic in ((Float64MultiArray, "/legs/commands"), (JointTrajectory, "/legs/joint_trajectory")):
            self._node.create_subscription(type_, topic, self.commands.append, 10)
        self._node.create_timer(0.01, self._update)
        self.sends_joints = self.sends_imu = True
        self.names = list(NAMES)
        self._cycle = 0
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _update(self) -> None:
        self._cycle += 1
        stamp = Time(sec=self._cycle // 100, nanosec=self._cycle % 100 * 10_000_000)
        place = [ROBOT.joint_names.index(name) if name in ROBOT.joint_names else 0 for name in self.names]
        joint = JointState(name=self.names, position=[i / 10 for i in place])
        joint.velocity, joint.effort = [i / 100 for i in place], [float(i) for i in place]
        joint.header.stamp = stamp
        imu = Imu()
        imu.header.stamp = stamp
        imu.orientation.w, imu.orientation.x = 0.6, 0.8
        imu.angular_velocity.z = 0.3
        imu.linear_acceleration.z = 9.8
        if self.sends_joints:
            self._joints.publish(joint)
        if self.sends_imu:
            self._imu.publish(imu)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[int]:
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        yield domain


@pytest.fixture
def controlled(domain: int) -> Iterator[ControlledRobot]:
    robot = ControlledRobot(domain)
    yield robot
    robot.end()


def address(domain: int, interface: str = "position") -> str:
    return f"controller=legs,interface={interface},domain={domain}"


def await_state(driver: Ros2ControlDriver, after: RobotState | None = None) -> RobotState:
    deadline = time.monotonic() + PATIENCE
    while (state := driver.read()) is None or (after is not None and state.seq == after.seq):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return state


def sent(driver: Ros2ControlDriver, controlled: ControlledRobot, command: JointCommand) -> Any:
    """What arrives at the controller of a command."""
    controlled.commands.clear()
    deadline = time.monotonic() + PATIENCE
    while not controlled.commands:
        assert time.monotonic() < deadline
        driver.write(command)
        time.sleep(0.01)
    return controlled.commands[-1]


def command(kp: float, kd: float) -> JointCommand:
    return JointCommand(np.arange(N) / 7, np.full(N, kp), np.full(N, kd))


def test_a_sample_arrives_with_each_number_in_its_place(domain: int, controlled: ControlledRobot) -> None:
    with Ros2ControlDriver(ROBOT, address(domain)) as driver:
        first = await_state(driver)
        second = await_state(driver, first)
    for state in (first, second):
        np.testing.assert_allclose(state.joint_pos, np.arange(N) / 10)
        np.testing.assert_allclose(state.joint_vel, np.arange(N) / 100)
        assert state.joint_torque is not None
        np.testing.assert_allclose(state.joint_torque, np.arange(N))
        assert state.imu_quat.tolist() == [0.6, 0.8, 0.0, 0.0]
        assert state.gyro.tolist() == [0.0, 0.0, 0.3]
        assert state.accel is not None
        assert state.accel.tolist() == [0.0, 0.0, 9.8]
    assert second.stamp > first.stamp


def test_positions_go_out_in_the_controllers_order(domain: int, controlled: ControlledRobot) -> None:
    with Ros2ControlDriver(ROBOT, address(domain)) as driver:
        message = sent(driver, controlled, command(30.0, 1.0))
        assert list(message.data) == pytest.approx((np.arange(N) / 7)[::-1])
        damped = sent(driver, controlled, command(0.0, 1.0))
        while list(damped.data) == list(message.data):  # one that was still on its way
            damped = sent(driver, controlled, command(0.0, 1.0))
        assert list(damped.data) == pytest.approx((np.arange(N) / 10)[::-1]), "it stays where it is"


def test_torques_are_made_from_gains_and_kept_within_limits(domain: int, controlled: ControlledRobot) -> None:
    with Ros2ControlDriver(ROBOT, address(domain, "effort")) as driver:
        message = sent(driver, controlled, command(2.0, 3.0))
        wanted = 2.0 * (np.arange(N) / 7 - np.arange(N) / 10) - 3.0 * np.arange(N) / 100
        assert list(message.data) == pytest.approx(wanted[::-1])
        strong = sent(driver, controlled, command(1e6, 0.0))
        while list(strong.data) == list(message.data):
            strong = sent(driver, controlled, command(1e6, 0.0))
        limit = ROBOT.joint_effort_limit[::-1]
        assert (np.abs(strong.data) <= limit).all()
        assert strong.data[0] == limit[0]


def test_a_trajectory_names_its_joints(domain: int, controlled: ControlledRobot) -> None:
    with Ros2ControlDriver(ROBOT, address(domain, "trajectory")) as driver:
        message = sent(driver, controlled, command(30.0, 1.0))
    assert tuple(message.joint_names) == NAMES
    (point,) = message.points
    assert list(point.positions) == pytest.approx((np.arange(N) / 7)[::-1])
    assert point.time_from_start.nanosec > 0


@pytest.mark.parametrize("broadcaster", ["joints", "imu"])
def test_either_broadcaster_that_falls_silent_makes_the_state_old(
    domain: int, controlled: ControlledRobot, broadcaster: str
) -> None:
    with Ros2ControlDriver(ROBOT, address(domain)) as driver:
        await_state(driver, await_state(driver))
        setattr(controlled, f"sends_{broadcaster}", False)
        end = time.monotonic() + 0.2  # what was on its way
        while time.monotonic() < end:
            state = driver.read()
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            assert driver.read() is state


def test_joints_of_another_robot_are_counted_and_left_out(domain: int, controlled: ControlledRobot) -> None:
    with Ros2ControlDriver(ROBOT, address(domain)) as driver:
        await_state(driver)
        controlled.names = [*NAMES[:-1], "tail_joint"]
        deadline = time.monotonic() + PATIENCE
        while driver.rejected_frames < 3:
            assert time.monotonic() < deadline
            driver.read()


def test_our_own_joint_states_on_the_same_topic_are_found_out(domain: int, controlled: ControlledRobot) -> None:
    with Ros2ControlDriver(ROBOT, address(domain)) as driver:
        second = ControlledRobot(domain)
        try:
            deadline = time.monotonic() + PATIENCE
            with pytest.raises(LandbridgeError, match="more than one node publishes /joint_states"):
                while time.monotonic() < deadline:
                    driver.write(command(0.0, 1.0))
                    time.sleep(0.05)
        finally:
            second.end()


def test_who_only_listens_needs_no_controller_and_cannot_write(domain: int) -> None:
    robot = ControlledRobot(domain, joints=("arm_joint",))  # what this one commands is not ours
    try:
        with Ros2ControlDriver(ROBOT, address(domain), listen_only=True) as driver:
            await_state(driver)
            with pytest.raises(LandbridgeError, match="only listens"):
                driver.write(command(30.0, 1.0))
        with drivers.load("ros2_control", ROBOT, address(domain), dry_run=True) as shadow:
            shadow.write(command(30.0, 1.0))
    finally:
        robot.end()
    assert robot.commands == []


def test_without_ros_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deploy_robot.ros.ros2_control", None)
    with pytest.raises(LandbridgeError, match="driver ros2_control needs deploy_robot.ros.ros2_control"):
        drivers.load("ros2_control", ROBOT)


def test_a_robot_that_is_not_there_is_one_sentence(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros2_control, "_OPEN_TIMEOUT", 0.3)
    driver = drivers.load("ros2_control", ROBOT, address(domain))
    with pytest.raises(LandbridgeError, match="there is no controller legs"):
        driver.open()
    driver.close()
    with pytest.raises(LandbridgeError, match="not open"):
        driver.read()
    with pytest.raises(LandbridgeError, match="not open"):
        driver.write(command(0.0, 1.0))


def test_a_controller_of_other_joints_is_one_sentence(domain: int) -> None:
    robot = ControlledRobot(domain, joints=("arm_joint",))
    try:
        with pytest.raises(LandbridgeError, match="controller legs has joints arm_joint, not those of unitree_go2"):
            Ros2ControlDriver(ROBOT, address(domain)).open()
    finally:
        robot.end()


def test_addresses() -> None:
    assert parse_address("") == Address()
    text = "controller=/left/legs, interface=effort,joint_states=/left/joint_states,imu=/left/imu,domain=3"
    assert parse_address(text) == Address("/left/legs", "effort", "/left/joint_states", "/left/imu", 3)
    for wrong in (
        *("controler=legs", "controller", "controller=", "controller=my legs", "imu=imu/", "joint_states=3"),
        *("interface=torque", "domain=-1", "domain=102", "domain=x"),
    ):
        with pytest.raises(UsageError, match="ros2_control"):
            parse_address(wrong)
