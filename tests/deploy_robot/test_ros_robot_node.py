"""robot_node in this process, with a driver made for the test."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Imu, JointState

from contract import robots
from contract.errors import UsageError
from deploy_robot.driver import JointCommand, RobotState
from deploy_robot.ros import qos, safety_report
from deploy_robot.ros.parameters import declare, parameter
from deploy_robot.ros.robot_node import RobotNode, RobotNodeParameters
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.ros.spin import make_executor
from deploy_robot.ros_environment import applied, claimed_domain, environment
from deploy_robot.supervisor import Mode, Supervisor

ROBOT = robots.load("unitree_go2")
PATIENCE = 60.0  # s


class FakeDriver:
    """Gives a fresh state at each read, keeps what is written, and fails when told to."""

    def __init__(self) -> None:
        self.written: list[JointCommand] = []
        self.read_error: Exception | None = None
        self.write_error: Exception | None = None
        self._sequence = 0

    def read(self) -> RobotState | None:
        if self.read_error is not None:
            raise self.read_error
        self._sequence += 1
        jitter = 1e-4 * (self._sequence % 7)  # a sensor that never changes would count as frozen
        return RobotState(
            stamp=time.monotonic(),
            seq=self._sequence,
            joint_pos=np.array(ROBOT.rest_pose) + jitter,
            joint_vel=np.full(12, jitter),
            imu_quat=np.array([1.0, 0.0, 0.0, 0.0]),
            gyro=np.full(3, jitter),
        )

    def write(self, command: JointCommand) -> None:
        if self.write_error is not None:
            raise self.write_error
        self.written.append(command)


class Rig:
    """The node under test, and another one beside it that listens."""

    def __init__(self, context: "rclpy.Context") -> None:
        self.driver = FakeDriver()
        self.supervisor = Supervisor(ROBOT)
        node = Node("robot_node", context=context)
        self.robot_node = RobotNode(node, ROBOT, self.driver, self.supervisor)  # type: ignore[arg-type]
        self.other = Node("other", context=context)
        self.joints: list[JointState] = []
        self.imus: list[Imu] = []
        self.report: SafetyReport | None = None
        self.targets = self.other.create_publisher(JointState, "robot_node/joint_command", qos.STREAM_PUBLISHER)
        self.other.create_subscription(JointState, "joint_states", self.joints.append, 10)
        self.other.create_subscription(Imu, "imu", self.imus.append, 10)
        self.other.create_subscription(DiagnosticArray, "robot_node/safety", self._on_safety, qos.STATUS)
        self._executor = make_executor(context)
        self._executor.add_node(node)
        self._executor.add_node(self.other)

    def _on_safety(self, message: DiagnosticArray) -> None:
        self.report = safety_report.from_message(message)

    def tick(self) -> None:
        self.robot_node.tick(time.monotonic())

    def tick_until(self, condition: Callable[[], bool]) -> None:
        self.spin_until(condition, self.tick)

    def spin_until(self, condition: Callable[[], bool], turn: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            turn()
            self._executor.spin_once(timeout_sec=0.005)


@pytest.fixture
def context(tmp_path: Path) -> Iterator["rclpy.Context"]:
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        yield context
        context.try_shutdown()


@pytest.fixture
def rig(context: "rclpy.Context") -> Rig:
    return Rig(context)


def is_damping(command: JointCommand) -> bool:
    return bool((command.kp == 0.0).all() and (command.kd > 0.0).all())


def target(names: tuple[str, ...] = ROBOT.joint_names) -> JointState:
    return JointState(name=list(names), position=[0.0] * len(names))


def test_publishes_joint_states_and_imu_of_one_sample_with_one_stamp(rig: Rig) -> None:
    rig.tick_until(lambda: len(rig.joints) > 2 and len(rig.imus) > 2)
    stamps = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in rig.joints}
    assert stamps & {(m.header.stamp.sec, m.header.stamp.nanosec) for m in rig.imus}
    assert rig.joints[0].name == list(ROBOT.joint_names)
    assert rig.joints[0].position == pytest.approx(ROBOT.rest_pose, abs=1e-3)
    assert rig.imus[0].orientation.w == 1.0
    now = rig.other.get_clock().now().nanoseconds * 1e-9
    assert rig.joints[0].header.stamp.sec == pytest.approx(now, abs=PATIENCE)


def test_who_comes_late_is_told_the_newest_report(rig: Rig) -> None:
    rig.tick_until(lambda: rig.report is not None)
    heard: list[DiagnosticArray] = []
    rig.other.create_subscription(DiagnosticArray, "robot_node/safety", heard.append, qos.STATUS)
    rig.spin_until(lambda: bool(heard))  # without another turn of the loop
    assert safety_report.from_message(heard[0]).mode is Mode.PASSIVE


def test_a_repeated_sample_is_published_once(rig: Rig) -> None:
    state = rig.driver.read()
    rig.driver.read = lambda: state  # type: ignore[method-assign]
    rig.tick_until(lambda: rig.report is not None and bool(rig.joints))
    for _ in range(20):
        rig.tick()
    rig.tick_until(lambda: rig.report is not None)
    assert len(rig.joints) == 1


def test_a_driver_that_fails_to_read_stops_the_robot_for_good(rig: Rig) -> None:
    rig.tick_until(lambda: rig.report is not None)
    rig.driver.read_error = OSError("cable out")
    before = len(rig.driver.written)
    rig.tick()
    assert len(rig.driver.written) == before + 1
    assert is_damping(rig.driver.written[-1])
    assert rig.supervisor.mode is Mode.STOPPED
    rig.driver.read_error = None
    rig.tick_until(lambda: rig.report is not None and rig.report.mode is Mode.STOPPED)
    assert rig.report is not None
    assert any("OSError: cable out" in trip for trip in rig.report.last_trips)


def test_a_driver_that_fails_to_write_does_not_end_the_loop(rig: Rig) -> None:
    rig.driver.write_error = OSError("bus off")
    for _ in range(3):
        rig.tick()
    rig.driver.write_error = None
    rig.tick()
    assert rig.supervisor.mode is Mode.STOPPED
    assert is_damping(rig.driver.written[-1])


def test_garbage_from_a_sensor_is_no_exception(rig: Rig) -> None:
    state = rig.driver.read()
    assert state is not None
    for broken in (
        replace(state, stamp=time.monotonic(), seq=900, joint_pos=np.full(12, np.nan)),
        replace(state, stamp=time.monotonic(), seq=901, imu_quat=np.full(4, np.inf)),
    ):
        rig.driver.read = lambda broken=broken: broken  # type: ignore[method-assign, misc]
        rig.tick()
    assert rig.supervisor.mode is Mode.PASSIVE
    assert all(is_damping(command) for command in rig.driver.written)


@pytest.mark.parametrize(
    "names",
    [
        (*ROBOT.joint_names[:-1], "RR_knee_joint"),
        (*ROBOT.joint_names[:-1], ROBOT.joint_names[0]),
        ROBOT.joint_names[:-1],
        (*ROBOT.joint_names, "arm_joint"),
    ],
)
def test_a_joint_command_with_wrong_names_is_refused_and_counted(rig: Rig, names: tuple[str, ...]) -> None:
    def refused() -> bool:
        rig.targets.publish(target(names))
        return rig.report is not None and rig.report.refused_commands > 0

    rig.tick_until(refused)
    assert rig.robot_node.target is None


def test_a_joint_command_in_any_order_becomes_a_target_in_ours(rig: Rig) -> None:
    message = JointState(name=list(reversed(ROBOT.joint_names)), position=[float(i) for i in range(12)])

    def received() -> bool:
        rig.targets.publish(message)
        return rig.robot_node.target is not None

    rig.tick_until(received)
    assert rig.robot_node.target is not None
    assert rig.robot_node.target.joint_target.tolist() == [float(i) for i in reversed(range(12))]


def test_parameters_are_described_ranged_and_read_only(context: "rclpy.Context") -> None:
    node = Node("robot_node", context=context)
    settings = declare(node, RobotNodeParameters)
    assert settings == RobotNodeParameters()
    descriptor = node.describe_parameter("rate")
    assert descriptor.read_only
    assert "Hz" in descriptor.description
    assert descriptor.floating_point_range[0].from_value == 50.0
    assert all(node.describe_parameter(name).description for name in vars(settings))


@pytest.mark.parametrize("argument", ["rate:=10.0", "rate:=fast", "robot:=7", "priority:=100"])
def test_a_parameter_that_makes_no_sense_is_named(context: "rclpy.Context", argument: str) -> None:
    node = Node("robot_node", context=context, cli_args=["--ros-args", "-p", argument])
    with pytest.raises(UsageError, match=f"parameter {argument.split(':')[0]} of robot_node"):
        declare(node, RobotNodeParameters)


def test_parameter_fields_keep_their_defaults() -> None:
    assert parameter(1.5, "x").default == 1.5
