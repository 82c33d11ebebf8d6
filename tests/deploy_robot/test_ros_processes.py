"""The nodes and the emulated robot as processes, over real DDS: what happens when one of them dies or misbehaves."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from contract import robots
from contract.errors import LandbridgeError
from deploy_robot.ros import qos
from deploy_robot.ros.operator import Operator
from deploy_robot.ros.robot_log import MODES
from deploy_robot.stack import Stack, StackConfig
from deploy_robot.supervisor import Mode
from hil_tests.robot_process import emulated_robot
from tests import fixed_pose_policy

# One at a time: each is a robot that needs the processor to keep real time.
pytestmark = pytest.mark.real_time


ROBOT = robots.load("unitree_go2")
PATIENCE = 120.0  # s


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixed_pose_policy.write(tmp_path_factory.mktemp("bundle") / "standing")


@contextmanager
def running(bundle: Path, out: Path, namespace: str = "") -> Iterator[tuple[Stack, Operator]]:
    config = StackConfig(bundle, ROBOT.name, out, namespace=namespace)
    with Stack(config, emulated_robot(seed=1)) as stack:
        stack.start()
        with Operator(stack.domain, namespace) as operator:
            operator.wait_for(lambda: operator.safety is not None, "no safety report", PATIENCE)
            yield stack, operator


def mode(operator: Operator) -> Mode:
    assert operator.safety is not None
    return operator.safety.mode


def await_mode(operator: Operator, *modes: Mode) -> None:
    operator.wait_for(lambda: mode(operator) in modes, f"the robot is not {modes}", PATIENCE)


def insist(operator: Operator, request: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        accepted, why = operator.request(request, PATIENCE)
        if accepted:
            return
        assert time.monotonic() < deadline, why
        operator.spin(0.1)


def let_it_walk(operator: Operator) -> None:
    assert operator.configure_policy(PATIENCE)
    assert operator.activate_policy(PATIENCE)
    insist(operator, "stand")
    await_mode(operator, Mode.READY)
    insist(operator, "arm")
    await_mode(operator, Mode.ACTIVE)


def modes_of(stack: Stack) -> list[str]:
    """The modes of a session, in order, without repetitions."""
    indices = stack.log_of("robot_node")["tick_mode"].astype(int)
    changes = np.flatnonzero(np.diff(indices, prepend=-1))
    return [MODES[indices[i]].value for i in changes]


def trips_of(stack: Stack) -> list[str]:
    return [trip["constraint"] for trip in json.loads(str(stack.log_of("robot_node")["trips"]))]


def test_a_killed_policy_leaves_the_robot_held_and_then_damped(bundle: Path, tmp_path: Path) -> None:
    with running(bundle, tmp_path) as (stack, operator):
        let_it_walk(operator)
        stack.children["policy_node"].kill()
        await_mode(operator, Mode.DAMP)
        damped = time.monotonic()
        operator.spin(0.3)
        accepted, why = operator.request("reset", PATIENCE)
        assert not accepted, "the cause still stands"
        assert "policy" in why
    modes, trips, truth = modes_of(stack), trips_of(stack), stack.log_of("truth")
    assert modes.index("active") < modes.index("hold") < modes.index("damp")
    assert trips.index("lost_policy") < trips.index("dead_policy")
    commanded = (truth["time"] > damped) & (truth["watchdog"] == 0.0)
    assert commanded.any(), "the robot is damped by command"
    assert (truth["kp"][commanded] == 0.0).all()
    assert (truth["kd"][commanded] > 0.0).all()


def test_a_robot_node_that_is_ended_damps_the_robot_last(bundle: Path, tmp_path: Path) -> None:
    with running(bundle, tmp_path) as (stack, operator):
        insist(operator, "stand")
        await_mode(operator, Mode.READY)
        assert stack.children["robot_node"].stop() == 0
        operator.spin(0.3)
    truth = stack.log_of("truth")
    last = np.flatnonzero(truth["watchdog"] == 0.0)[-1]
    assert (truth["kp"][last] == 0.0).all(), "the last command on the bus damps"
    assert (truth["kd"][last] > 0.0).all()
    assert (truth["kp"].max(axis=1) > 0.0).any(), "before, the robot was held"
    assert truth["watchdog"][-1] == 1.0
    assert modes_of(stack)[-1] == "ready"


def test_without_robot_node_the_robot_damps_itself_and_the_policy_falls_silent(bundle: Path, tmp_path: Path) -> None:
    with running(bundle, tmp_path) as (stack, operator):
        let_it_walk(operator)
        policy_node = stack.children["policy_node"]
        before = policy_node.output()
        stack.children["robot_node"].kill()
        fell_silent = "no fresh sensors"
        operator.wait_for(
            lambda: fell_silent in policy_node.output().removeprefix(before), "the policy did not fall silent", PATIENCE
        )
        operator.spin(0.3)
    truth = stack.log_of("truth")
    assert truth["watchdog"][-1] == 1.0
    held = np.flatnonzero(truth["kp"].max(axis=1) > 0.0)
    assert (truth["watchdog"][held[-1] + 1 :] == 1.0).all(), "from the last command straight to its own watchdog"


def test_operator_requests_and_refused_commands_in_a_namespace(bundle: Path, tmp_path: Path) -> None:
    with running(bundle, tmp_path, namespace="left") as (stack, operator):
        accepted, why = operator.request("arm", PATIENCE)
        assert not accepted
        assert "ready" in why

        with stray_commands(stack.domain, "left") as send:

            def refused() -> bool:
                send()
                return operator.safety is not None and operator.safety.refused_commands > 0

            operator.wait_for(refused, "the command was not refused", PATIENCE)

        insist(operator, "stand")
        await_mode(operator, Mode.READY)
        insist(operator, "estop")
        await_mode(operator, Mode.STOPPED)
        insist(operator, "reset")
        await_mode(operator, Mode.PASSIVE)
    assert modes_of(stack) == ["passive", "standing_up", "ready", "stopped", "passive"]
    assert "unknown joint 'tail_joint'" in stack.children["robot_node"].output()


@contextmanager
def stray_commands(domain: int, namespace: str) -> Iterator[Callable[[], None]]:
    """Somebody else's node that sends joint commands for another robot."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    node = Node("stray", context=context, namespace=namespace)
    publisher = node.create_publisher(JointState, "robot_node/joint_command", qos.STREAM_PUBLISHER)
    message = JointState(name=["tail_joint"], position=[0.0])
    try:
        yield lambda: publisher.publish(message)
    finally:
        node.destroy_node()
        context.try_shutdown()


def await_failure(stack: Stack) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            stack.children.check()
        except LandbridgeError as error:
            return str(error)
        time.sleep(0.05)
    raise AssertionError("the process is still running")


def test_a_robot_node_without_its_bundle_ends_with_the_reason(tmp_path: Path) -> None:
    with Stack(StackConfig(tmp_path / "gone", ROBOT.name, tmp_path)) as stack:
        stack.start_robot_node()
        assert await_failure(stack) == f"robot_node ended: {tmp_path / 'gone'}: no such bundle"


def test_a_robot_node_without_a_robot_ends_with_the_reason(bundle: Path, tmp_path: Path) -> None:
    with Stack(StackConfig(bundle, ROBOT.name, tmp_path)) as stack:
        stack.start_robot_node()
        assert await_failure(stack).startswith("robot_node ended: no state from a unitree_go2 on UDP port")


def test_a_policy_node_refuses_a_bundle_with_a_changed_byte(tmp_path: Path) -> None:
    bundle = fixed_pose_policy.write(tmp_path / "standing")
    graph = bytearray((bundle / "policy.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (bundle / "policy.onnx").write_bytes(graph)
    with Stack(StackConfig(bundle, ROBOT.name, tmp_path)) as stack:
        policy_node = stack.start_policy_node()
        with Operator(stack.domain) as operator:
            assert not operator.configure_policy(PATIENCE)
            assert "policy.onnx" in policy_node.reason()
            assert not operator.activate_policy(PATIENCE)
