"""The black box in robot_node: real sessions that are recorded, replayed and judged again."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray

from contract import robots
from deploy_robot import cdr, recording
from deploy_robot.black_box import BlackBox, BlackBoxConfig
from deploy_robot.driver import JointCommand, RobotState
from deploy_robot.onnx_policy import load_policy
from deploy_robot.recording import Recording, read_recording
from deploy_robot.replay import rejudge, replay_commands
from deploy_robot.ros import conversions
from deploy_robot.ros.operator import Operator
from deploy_robot.ros.robot_node import RobotNode
from deploy_robot.ros_environment import applied, claimed_domain, environment
from deploy_robot.stack import Stack, StackConfig
from deploy_robot.supervisor import Mode, Supervisor
from hil_tests.robot_process import emulated_robot
from landbridge.cli import main
from landbridge.shipped import find

# One at a time: each is a robot that needs the processor to keep real time.
pytestmark = pytest.mark.real_time

ROBOT = robots.load("unitree_go2")
BUNDLE = find(Path("go2-velocity-flat"))  # a policy with memory
PATIENCE = 120.0  # s
NANOSECONDS = 1_795_582_707_130_099_394
STAMP = Time(sec=NANOSECONDS // 10**9, nanosec=NANOSECONDS % 10**9)


def sample(**changes: object) -> RobotState:
    generator = np.random.default_rng(5)
    fields: dict[str, object] = {
        "stamp": 1.0,
        "seq": 1,
        "joint_pos": generator.normal(size=12),
        "joint_vel": generator.normal(size=12),
        "imu_quat": generator.normal(size=4),
        "gyro": generator.normal(size=3),
    }
    return RobotState(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "state",
    [
        sample(),
        sample(joint_torque=np.arange(12.0), accel=np.array([0.1, -0.2, 9.8])),
        sample(joint_pos=np.full(12, np.nan), gyro=np.array([np.inf, -np.inf, -0.0])),
    ],
)
def test_a_sample_is_recorded_as_it_is_published(state: RobotState) -> None:
    joints = cdr.joint_state(NANOSECONDS, ROBOT.joint_names, state.joint_pos, state.joint_vel, state.joint_torque)
    assert same(joints, conversions.joint_state_message(ROBOT.joint_names, state, STAMP))
    imu = cdr.imu(NANOSECONDS, "imu_link", state.imu_quat, state.gyro, state.accel)
    assert same(imu, conversions.imu_message(state, STAMP, "imu_link"))
    target = cdr.joint_state(NANOSECONDS, ROBOT.joint_names, state.joint_pos, None, None)
    assert same(target, conversions.joint_target_message(ROBOT.joint_names, state.joint_pos, STAMP))


def test_trips_are_what_ros_makes_of_them() -> None:
    statuses = (cdr.Diagnostic(2, "tilt", "tilt: 1 rad", "go2", (("reaction", "damp"), ("a", ""))),)
    values = [KeyValue(key="reaction", value="damp"), KeyValue(key="a", value="")]
    status = DiagnosticStatus(level=b"\2", name="tilt", message="tilt: 1 rad", hardware_id="go2", values=values)
    message = DiagnosticArray(status=[status])
    message.header.stamp = STAMP
    assert same(cdr.diagnostics(NANOSECONDS, statuses), message)
    assert cdr.read_diagnostics(serialize_message(message)) == statuses


def same(data: bytes, message: Any) -> bool:
    """Whether ROS reads `data` as `message`. Their texts hold every digit, and NaN is equal to NaN there."""
    return str(deserialize_message(data, type(message))) == str(message)


def test_numbers_are_what_ros_makes_of_them() -> None:
    data = cdr.Sections({"a": 2, "bcd": 1}).message([[0.1, np.nan], np.float32([3.0])])
    message = deserialize_message(data, Float64MultiArray)
    assert [(dim.label, dim.size) for dim in message.layout.dim] == [("a", 2), ("bcd", 1)]
    assert cdr.read_sections(serialize_message(message))["bcd"].tolist() == [3.0]


class BrokenDriver:
    """A bus that takes no command, and a robot that says nothing."""

    def read(self) -> RobotState | None:
        return None

    def write(self, command: JointCommand) -> None:
        raise OSError("the bus is gone")


def test_turns_that_fail_are_recorded(tmp_path: Path) -> None:
    about = recording.about(ROBOT.name)
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        node = Node("robot_node", context=context)
        with BlackBox(BlackBoxConfig(str(tmp_path), about), ROBOT.joint_names) as box:
            driver: Any = BrokenDriver()
            robot_node = RobotNode(node, ROBOT, driver, Supervisor(ROBOT), black_box=box)
            for _ in range(10):
                robot_node.tick(time.monotonic())
                time.sleep(0.001)
        context.try_shutdown()
    (path,) = tmp_path.glob("trip-*-operator_stop.mcap")
    found = read_recording(path)
    assert len(found.messages[recording.TICKS]) == 10
    assert np.isnan(cdr.read_sections(found.messages[recording.TICKS][0].data)["written"][0])


def assert_replays(found: Recording) -> int:
    """How many steps: the policy's commands are the recorded ones, and so are the trips."""
    replay = replay_commands(found, load_policy(BUNDLE))
    assert (replay.differing, replay.first) == (0, None)
    assert replay.missing == 0
    judgement = rejudge(found)
    assert judgement.lost == 0
    judged, recorded = ([(t.time, t.constraint) for t in trips] for trips in (judgement.judged, judgement.recorded))
    assert judged == recorded
    return replay.steps


def test_a_session_is_replayed_bit_for_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    options = ("--out", str(out), "--seconds", "4", "--command", "0.4,0,0.2", "--record")
    run = subprocess.run(
        [sys.executable, "-m", "landbridge", "run", str(BUNDLE), *options], capture_output=True, text=True, check=False
    )
    assert run.returncode in (0, 1), run.stderr  # a machine that is too busy trips a monitor, rightly
    (path,) = out.glob("run-*.mcap")
    assert f"recorded {path}" in run.stdout
    found = read_recording(path)
    assert found.damage == ""
    assert assert_replays(found) > 4.0 / 0.02
    assert found.messages.keys() >= {*recording.TYPES} - {recording.TRIPS}
    assert main(["replay", str(path), str(BUNDLE)]) == 0
    assert "bit for bit" in capsys.readouterr().out


def test_what_was_recorded_outlives_both_nodes(tmp_path: Path) -> None:
    config = StackConfig(BUNDLE, ROBOT.name, tmp_path, namespace="robot_1", record=True)
    with Stack(config, emulated_robot(seed=1)) as stack:
        stack.start()
        with Operator(stack.domain, "robot_1") as operator:
            operator.wait_for(lambda: operator.safety is not None, "no safety report", PATIENCE)
            assert operator.configure_policy(PATIENCE)
            assert operator.activate_policy(PATIENCE)
            insist(operator, "stand")
            await_mode(operator, Mode.READY)
            insist(operator, "arm")
            await_mode(operator, Mode.ACTIVE)
            stack.children["policy_node"].kill()
            await_mode(operator, Mode.DAMP)
            stack.children["robot_node"].kill()
    (run,) = tmp_path.glob("run-*.mcap")
    deadline = time.monotonic() + PATIENCE
    while read_recording(run).damage:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert assert_replays(read_recording(run)) > 0
    trips = [trip.constraint for trip in rejudge(read_recording(run)).recorded]
    assert trips.index("lost_policy") < trips.index("dead_policy")
    kept = [read_recording(path) for path in tmp_path.glob("trip-*.mcap")]
    assert any("lost_policy" in [t.constraint for t in rejudge(trip).recorded] for trip in kept)


def insist(operator: Operator, request: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        accepted, why = operator.request(request, PATIENCE)
        if accepted:
            return
        assert time.monotonic() < deadline, why
        operator.spin(0.1)


def await_mode(operator: Operator, mode: Mode) -> None:
    def reached() -> bool:
        return operator.safety is not None and operator.safety.mode is mode

    operator.wait_for(reached, f"the robot is not {mode}", PATIENCE)
