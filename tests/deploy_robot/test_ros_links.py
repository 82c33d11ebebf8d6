"""What the nodes say of their links and loops, whose bundle may drive, and by which clock."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState

from contract import robots
from deploy_robot.control_digest import control_digest
from deploy_robot.driver import JointCommand, RobotState
from deploy_robot.ros import diagnostics, qos
from deploy_robot.ros.conversions import BUNDLE_FRAME, SimStampClock, StampClock, stamp_clock, stamp_key
from deploy_robot.ros.diagnostics import LoopTiming, Losses
from deploy_robot.ros.policy_node import PolicyNode
from deploy_robot.ros.robot_node import RobotNode
from deploy_robot.ros.spin import make_executor
from deploy_robot.ros_environment import applied, claimed_domain, environment
from deploy_robot.supervisor import Mode, Supervisor
from tests import fixed_pose_policy
from tests.supervised_robot import SupervisedRobot

ROBOT = robots.load("unitree_go2")
PATIENCE = 60.0  # s


class StandingDriver:
    """A robot that lies in its rest pose."""

    def __init__(self) -> None:
        self._robot = SupervisedRobot()
        self.silent = False
        self.rejected_frames = 7

    def read(self) -> RobotState | None:
        if not self.silent:
            self._robot.now = time.monotonic()
            self._robot.sense()
        return self._robot.state

    def write(self, command: JointCommand) -> None:
        pass


class Network:
    """An executor and a node beside whatever is tested."""

    def __init__(self, context: "rclpy.Context") -> None:
        self.context = context
        self.other = Node("other", context=context)
        self.executor = make_executor(context)
        self.executor.add_node(self.other)
        self.reports: dict[str, dict[str, str]] = {}
        self.other.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._on_report, 10)

    def _on_report(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.reports[status.name] = {pair.key: pair.value for pair in status.values}

    def until(self, condition: object, turn: object = lambda: None) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline
            turn()  # type: ignore[operator]
            self.executor.spin_once(timeout_sec=0.005)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        yield Network(context)
        context.try_shutdown()


def robot_node(network: Network, digest: str = "", **options: object) -> tuple[RobotNode, StandingDriver]:
    driver = StandingDriver()
    node = Node("robot_node", context=network.context, **options)  # type: ignore[arg-type]
    network.executor.add_node(node)
    return RobotNode(node, ROBOT, driver, Supervisor(ROBOT), digest=digest), driver  # type: ignore[arg-type]


def policy_node(network: Network, bundle: Path) -> PolicyNode:
    node = PolicyNode(context=network.context, cli_args=["--ros-args", "-p", f"bundle:={bundle}"])
    network.executor.add_node(node)
    return node


def test_deadlines_are_of_three_periods_at_least_and_fit_each_other() -> None:
    longest_period = 1.0 / qos.SLOWEST_RATE
    offered, requested = qos.SENSOR_PUBLISHER.deadline, qos.SENSOR_SUBSCRIBER.deadline
    assert offered.nanoseconds >= 3e9 * longest_period
    assert requested.nanoseconds >= offered.nanoseconds
    assert qos.command_publisher(0.02).deadline.nanoseconds >= 3e9 * 0.02
    assert qos.DEADLINE_PERIODS >= 3.0


def test_missed_deadlines_are_counted_at_both_ends(network: Network) -> None:
    robot, driver = robot_node(network, namespace="left")
    losses = Losses("joint_states", lambda error: pytest.fail(str(error)))
    got: list[JointState] = []
    network.other.create_subscription(
        JointState, "/left/joint_states", got.append, qos.SENSOR_SUBSCRIBER, event_callbacks=losses.subscription()
    )
    network.until(lambda: len(got) > 3, lambda: robot.tick(time.monotonic()))
    driver.silent = True

    def missed() -> bool:
        report = network.reports.get("left/robot_node: loop", {})
        return losses.missed > 0 and int(report.get("joint_states missed deadlines", "0")) > 0

    network.until(missed, lambda: robot.tick(time.monotonic()))


def test_losses_count_only_while_they_may() -> None:
    class Event:
        total_count_change = 2

    counting = True
    losses = Losses("imu", lambda error: None, lambda: counting)
    losses._on_missed(Event())
    counting = False
    losses._on_missed(Event())
    losses._on_lost(Event())
    assert losses.values() == {"imu missed deadlines": "2", "imu lost messages": "2"}
    failures: list[Exception] = []
    Losses("imu", failures.append).subscription().deadline(object())  # an event of some other kind
    assert isinstance(failures[0], AttributeError), "every callback is guarded"


def test_a_loop_is_timed_and_its_rest_is_no_period() -> None:
    timing = LoopTiming()
    for now in (0.0, 0.005, 0.010):
        timing.turn(now)
    timing.pause()
    for now in (5.0, 5.005):
        timing.turn(now)
    assert timing.take() == {"period_p50_ms": "5.00", "period_p99_ms": "5.00", "period_max_ms": "5.00"}
    assert timing.take() == {}


def test_robot_node_reports_loop_margins_signals_and_its_driver(network: Network) -> None:
    robot, _ = robot_node(network)
    wanted = {"robot_node: loop", "robot_node: margins", "robot_node: signals"}
    network.until(lambda: wanted <= set(network.reports), lambda: robot.tick(time.monotonic()))
    assert network.reports["robot_node: loop"]["rejected frames"] == "7"
    assert network.reports["robot_node: margins"]["tilt"] == "0 / 1 rad"
    assert set(ROBOT.joint_names) <= set(network.reports["robot_node: signals"])


def test_a_report_that_fails_does_not_stop_the_robot(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    robot, driver = robot_node(network)
    driver.rejected_frames = 8
    monkeypatch.setattr("deploy_robot.figures.margins", lambda *_: 1 / 0)
    for _ in range(5):
        robot.tick(time.monotonic())
        network.executor.spin_once(timeout_sec=0.001)
    assert robot._supervisor.mode is Mode.PASSIVE
    assert "robot_node: margins" not in network.reports


def test_targets_of_a_bundle_with_other_limits_are_refused(network: Network) -> None:
    robot, _ = robot_node(network, digest="a" * 16)
    publisher = network.other.create_publisher(JointState, "robot_node/joint_command", qos.STREAM_PUBLISHER)
    message = JointState(name=list(ROBOT.joint_names), position=[0.0] * 12)

    def send(frame: str) -> None:
        message.header.frame_id = frame
        publisher.publish(message)
        robot.tick(time.monotonic())

    network.until(lambda: robot._refused > 0, lambda: send(BUNDLE_FRAME + "b" * 16))
    assert robot.target is None
    for frame in (BUNDLE_FRAME + "a" * 16, "base"):  # our bundle's, and somebody else's who names none
        robot.target = None
        refused = robot._refused
        network.until(lambda: robot.target is not None, lambda frame=frame: send(frame))  # type: ignore[misc]
        assert robot._refused <= refused + 1  # one of the others may still have been on its way


def test_the_digest_is_of_what_the_supervisor_goes_by() -> None:
    contract = fixed_pose_policy.make_contract()
    digest = control_digest(contract)
    assert control_digest(fixed_pose_policy.make_contract(task="another", memory=())) == digest
    for field, value in {
        "kp": (31.0,) * 12,
        "kd": (0.7,) * 12,
        "control_period": 0.01,
        "joint_upper": (0.5,) * 12,
        "action_lower": (-0.1,) * 12,
        "monitors": {"tilt": 0.5},
        "default_joint_pos": (0.1,) * 12,
    }.items():
        assert control_digest(fixed_pose_policy.make_contract(**{field: value})) != digest, field


def test_another_bundle_is_taken_up_only_through_the_lifecycle(network: Network, tmp_path: Path) -> None:
    first = fixed_pose_policy.write(tmp_path / "first")
    second = fixed_pose_policy.write(tmp_path / "second", pose=tuple(ROBOT.rest_pose))
    node = policy_node(network, first)
    swap = [Parameter("bundle", value=str(second))]
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    (refused,) = node.set_parameters(swap)
    assert not refused.successful
    assert "clean up" in refused.reason
    node.trigger_activate()
    assert not node.set_parameters(swap)[0].successful
    assert node.settings.bundle == str(first)
    node.trigger_deactivate()
    assert not node.set_parameters(swap)[0].successful
    node.trigger_cleanup()
    assert node.set_parameters(swap)[0].successful
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() is TransitionCallbackReturn.SUCCESS
    targets: list[JointState] = []
    network.other.create_subscription(JointState, "robot_node/joint_command", targets.append, 10)
    joints = network.other.create_publisher(JointState, "joint_states", qos.SENSOR_PUBLISHER)
    imu = network.other.create_publisher(Imu, "imu", qos.SENSOR_PUBLISHER)
    sample = JointState(name=list(ROBOT.joint_names), position=[0.0] * 12, velocity=[0.0] * 12)

    def feed() -> None:
        joints.publish(sample)
        imu.publish(Imu())
        node.tick(time.monotonic())

    network.until(lambda: bool(targets), feed)
    assert targets[-1].position == pytest.approx(list(ROBOT.rest_pose), abs=1e-6)
    assert targets[-1].header.frame_id == BUNDLE_FRAME + control_digest(fixed_pose_policy.make_contract())


def test_an_exception_in_a_transition_leaves_the_node_unconfigured(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = policy_node(network, fixed_pose_policy.write(tmp_path / "first"))
    monkeypatch.setattr("deploy_robot.ros.policy_node.load_policy", lambda *_, **__: 1 / 0)
    assert node.trigger_configure() is not TransitionCallbackReturn.SUCCESS
    assert not node.active
    monkeypatch.undo()
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS


def test_an_unstamped_twist_is_a_command_too(network: Network, tmp_path: Path) -> None:
    node = policy_node(network, fixed_pose_policy.write(tmp_path / "first"))
    node.trigger_configure()
    assert node._loaded is not None
    command = node._loaded.command
    publisher = network.other.create_publisher(Twist, "cmd_vel_unstamped", qos.STREAM_PUBLISHER)
    twist = Twist()
    twist.linear.x, twist.angular.z = 0.4, -0.2
    network.until(
        lambda: command.value(time.monotonic()).tolist() == [0.4, 0.0, -0.2], lambda: publisher.publish(twist)
    )


def test_stamps_follow_a_simulators_clock_and_watchdogs_do_not(network: Network) -> None:
    robot, _ = robot_node(network, parameter_overrides=[Parameter("use_sim_time", value=True)])
    clock = network.other.create_publisher(Clock, "/clock", 10)
    got: list[JointState] = []
    network.other.create_subscription(JointState, "joint_states", got.append, qos.SENSOR_SUBSCRIBER)

    def turn() -> None:
        clock.publish(Clock(clock=Time(sec=1000, nanosec=0)))  # stands still
        robot.tick(time.monotonic())

    network.until(lambda: bool(got) and 990 < got[-1].header.stamp.sec <= 1000, turn)
    assert robot._supervisor.mode is Mode.PASSIVE
    report = robot._supervisor.reading
    assert report is not None
    assert report.state_age < 1.0
    assert report.clock_faults == 0


def test_a_target_finds_its_sample_whatever_a_simulators_clock_does() -> None:
    now = 5_000_000_000
    clock = SimStampClock(lambda: now)
    taken = time.monotonic()
    stamp = clock.to_ros(taken)
    now = 1_000_000_000  # the simulation was reset
    assert clock.from_ros(stamp) == taken
    again = clock.to_ros(taken)
    assert stamp_key(again) < stamp_key(stamp)
    assert clock.from_ros(again) == taken
    unknown = Time(sec=0, nanosec=900_000_000)
    assert clock.from_ros(unknown) == pytest.approx(time.monotonic() - 0.1, abs=0.05)
    for i in range(5000):
        clock.to_ros(taken + 1e-3 * i)
    assert len(clock._given) <= 2000


def test_the_wall_clock_is_used_without_a_simulator(network: Network) -> None:
    assert isinstance(stamp_clock(network.other), StampClock)
