"""policy_node in this process, fed by hand."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Imu, JointState

from contract.bundle import write_bundle
from contract.golden import Golden
from contract.signals import Signal
from deploy_robot.ros import conversions, qos, safety_report
from deploy_robot.ros.policy_node import MAX_TRIM, PolicyNode, trim
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.ros.spin import make_executor
from deploy_robot.ros_environment import applied, claimed_domain, environment
from deploy_robot.supervisor import Mode, Reaction
from tests.fixed_pose_policy import make_contract

PATIENCE = 60.0  # s
COUNT = Signal("count", (1,), "1", "")


def write_counter(path: Path) -> Path:
    """A policy that asks joint 0 for its step number in mrad, joint 1 for the command vx, the rest for zero."""
    promised = make_contract(memory=(COUNT,))
    shapes = {signal.name: signal.shape for signal in promised.graph_inputs}
    first, second = np.zeros((1, 12), np.float32), np.zeros((3, 12), np.float32)
    first[0, 0], second[0, 1] = 1e-3, 1.0
    nodes = [
        helper.make_node("Add", ["count", "one"], ["next_count"]),
        helper.make_node("MatMul", ["next_count", "first"], ["counted"]),
        helper.make_node("MatMul", ["command", "second"], ["commanded"]),
        helper.make_node("Add", ["counted", "commanded"], ["joint_target"]),
    ]
    constants = {"one": np.ones(1, np.float32), "first": first, "second": second}
    outputs = {"joint_target": 12, "next_count": 1}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "counter",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in shapes.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", s]) for n, s in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    steps = 3
    counts = np.arange(1, steps + 1, dtype=np.float32).reshape(steps, 1, 1)
    golden = Golden(
        {signal.name: np.zeros((steps, 1, *signal.shape), np.float32) for signal in promised.inputs},
        {"joint_target": counts @ first, "next_count": counts},
    )
    return write_bundle(path, promised, model.SerializeToString(), golden, "# counter\n", {})


class Rig:
    """The node under test, and another one beside it that plays robot_node."""

    def __init__(self, context: "rclpy.Context", bundle: str) -> None:
        arguments = ["--ros-args", "-p", f"bundle:={bundle}"] if bundle else None
        self.node = PolicyNode(context=context, cli_args=arguments)
        self.other = Node("robot_node", context=context)
        self.targets: list[JointState] = []
        self.names = list(make_contract().joint_names)
        self.joints = self.other.create_publisher(JointState, "joint_states", qos.SENSOR_PUBLISHER)
        self.imu = self.other.create_publisher(Imu, "imu", qos.SENSOR_PUBLISHER)
        self.command = self.other.create_publisher(TwistStamped, "cmd_vel", qos.STREAM_PUBLISHER)
        self.safety = self.other.create_publisher(DiagnosticArray, "robot_node/safety", qos.STATUS)
        self.other.create_subscription(JointState, "robot_node/joint_command", self.targets.append, 10)
        self.stamp = 0
        self._executor = make_executor(context)
        self._executor.add_node(self.node)
        self._executor.add_node(self.other)

    def feed(self) -> None:
        """One sample, and the turn of the loop that is due."""
        self.stamp += 1
        joint, imu = JointState(name=self.names, position=[0.0] * 12, velocity=[0.0] * 12), Imu()
        joint.header.stamp.nanosec = imu.header.stamp.nanosec = self.stamp
        self.joints.publish(joint)
        self.imu.publish(imu)
        self.tick()

    def tick(self) -> None:
        for _ in range(4):
            self._executor.spin_once(timeout_sec=0.002)
        self.node.tick(time.monotonic())

    def until(self, condition: Callable[[], bool], turn: Callable[[], None]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            turn()

    def say(self, mode: Mode) -> None:
        report = SafetyReport(mode, Reaction.NONE)
        stamp = self.other.get_clock().now().to_msg()
        self.safety.publish(safety_report.to_message(report, "unitree_go2", stamp))


@pytest.fixture
def context(tmp_path: Path) -> Iterator["rclpy.Context"]:
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        yield context
        context.try_shutdown()


@pytest.fixture
def rig(context: "rclpy.Context", tmp_path: Path) -> Rig:
    rig = Rig(context, str(write_counter(tmp_path / "counter")))
    assert rig.node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    return rig


def test_is_silent_until_it_is_activated_and_again_after(rig: Rig) -> None:
    for _ in range(20):
        rig.feed()
    assert rig.targets == []
    assert rig.node.trigger_activate() is TransitionCallbackReturn.SUCCESS
    rig.until(lambda: len(rig.targets) > 3, rig.feed)
    rig.node.trigger_deactivate()
    for _ in range(50):  # what is still on its way arrives
        rig.feed()
    rig.targets.clear()
    for _ in range(20):
        rig.feed()
    assert rig.targets == []


def test_targets_carry_names_and_the_stamp_of_their_sample(rig: Rig) -> None:
    rig.node.trigger_activate()
    rig.until(lambda: len(rig.targets) > 3, rig.feed)
    assert rig.targets[0].name == rig.names
    assert 0 < rig.targets[0].header.stamp.nanosec <= rig.stamp
    assert rig.targets[-1].header.stamp.nanosec > rig.targets[0].header.stamp.nanosec


def test_starts_from_zero_memory_until_it_may_drive(rig: Rig) -> None:
    rig.node.trigger_activate()
    rig.say(Mode.READY)
    rig.until(lambda: len(rig.targets) > 5, rig.feed)
    assert {round(message.position[0] * 1e3) for message in rig.targets} == {1}
    rig.say(Mode.ACTIVE)
    rig.until(lambda: rig.targets[-1].position[0] > 5.5e-3, rig.feed)
    counts = [round(message.position[0] * 1e3) for message in rig.targets]
    assert counts == sorted(counts)
    rig.say(Mode.HOLD)
    rig.until(lambda: round(rig.targets[-1].position[0] * 1e3) == 1, rig.feed)


def test_publishes_nothing_while_its_sensors_are_stale(rig: Rig) -> None:
    rig.node.trigger_activate()
    rig.until(lambda: len(rig.targets) > 3, rig.feed)
    time.sleep(0.1)
    for _ in range(10):
        rig.tick()
    rig.targets.clear()
    for _ in range(10):
        rig.tick()
    assert rig.targets == []
    rig.until(lambda: len(rig.targets) > 3, rig.feed)


def test_follows_cmd_vel_within_range_and_forgets_it_in_time(rig: Rig) -> None:
    rig.node.trigger_activate()
    rig.until(lambda: len(rig.targets) > 3, rig.feed)
    assert rig.targets[-1].position[1] == 0.0

    def command() -> None:
        rig.command.publish(conversions.velocity_message(7.0, 0.0, 0.0, rig.other.get_clock().now().to_msg()))
        rig.feed()

    rig.until(lambda: rig.targets[-1].position[1] == 1.0, command)
    rig.until(lambda: rig.targets[-1].position[1] == 0.0, rig.feed)


def test_a_failure_in_the_loop_deactivates_the_node(rig: Rig) -> None:
    rig.node.trigger_activate()
    rig.until(lambda: len(rig.targets) > 3, rig.feed)
    rig.names = [*rig.names[:-1], "wheel_joint"]
    rig.until(lambda: not rig.node.active, rig.feed)


@pytest.mark.parametrize("harm", ["missing", "none", "cut"])
def test_a_bundle_that_is_not_whole_is_refused_and_can_be_mended(
    context: "rclpy.Context", tmp_path: Path, harm: str
) -> None:
    bundle = tmp_path / "counter"
    if harm == "cut":
        write_counter(bundle)
        (bundle / "policy.onnx").write_bytes(b"")
    rig = Rig(context, "" if harm == "none" else str(bundle))
    assert rig.node.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert rig.node.trigger_activate() is TransitionCallbackReturn.ERROR
    assert not rig.node.active
    if harm == "missing":
        write_counter(bundle)
        assert rig.node.trigger_configure() is TransitionCallbackReturn.SUCCESS


def test_steps_move_towards_the_moment_after_a_sample(rig: Rig) -> None:
    assert trim(0.0) < 0.0 < trim(0.004) == MAX_TRIM
    assert trim(0.0005) == 0.0
    rig.node.trigger_activate()
    rig.until(lambda: len(rig.targets) > 3, rig.feed)
    period = make_contract().control_period
    rig.until(lambda: rig.node.period == period - MAX_TRIM, rig.tick)  # the last sample grows older


def test_the_period_is_that_of_the_policy_once_it_is_loaded(rig: Rig) -> None:
    assert rig.node.period == make_contract().control_period
    rig.node.trigger_activate()
    rig.node.trigger_deactivate()
    assert rig.node.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    assert rig.node.trigger_activate() is TransitionCallbackReturn.ERROR


def test_parameters_are_described_and_all_but_the_bundle_read_only(context: "rclpy.Context") -> None:
    node = PolicyNode(context=context)
    descriptors = {name: node.describe_parameter(name) for name in vars(node.settings)}
    assert all(descriptor.description for descriptor in descriptors.values())
    assert [name for name, descriptor in descriptors.items() if not descriptor.read_only] == ["bundle"]
