import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import Imu, JointState

from deploy_robot.driver import RobotState
from deploy_robot.ros import conversions, safety_report
from deploy_robot.ros.conversions import JointOrder, MessageError, StampClock
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.supervisor import Mode, Reaction

NAMES = ("hip", "thigh", "calf")
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def vectors(size: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, size, elements=ANY_FLOAT)


@st.composite
def robot_states(draw: st.DrawFn) -> RobotState:
    return RobotState(
        stamp=1.0,
        seq=1,
        joint_pos=draw(vectors(3)),
        joint_vel=draw(vectors(3)),
        imu_quat=draw(vectors(4)),
        gyro=draw(vectors(3)),
        joint_torque=draw(st.none() | vectors(3)),
        accel=draw(st.none() | vectors(3)),
    )


@given(st.floats(0.0, 1e7), st.integers(0, 2**31 * 10**9 - 10**17))
def test_a_stamp_goes_to_ros_and_back_within_a_nanosecond(stamp: float, ros_now: int) -> None:
    clock = StampClock(ros_now + time.monotonic_ns())
    assert clock.from_ros(clock.to_ros(stamp)) == pytest.approx(stamp, rel=0.0, abs=4e-9)


def test_equal_samples_have_equal_stamps_and_later_ones_later_stamps() -> None:
    clock = StampClock(1_700_000_000 * 10**9)
    keys = [conversions.stamp_key(clock.to_ros(stamp)) for stamp in (5.0, 5.0, 5.002)]
    assert keys[0] == keys[1]
    assert keys[2] - keys[1] == 2_000_000


@given(st.permutations(NAMES), vectors(3))
def test_joints_are_put_in_order_by_name(names: list[str], values: np.ndarray) -> None:
    message = JointState(name=names, position=values.tolist())
    read = JointOrder(NAMES).read(message, "position")
    expected = [values[names.index(name)] for name in NAMES]
    assert np.array_equal(read, expected, equal_nan=True)


def test_a_sender_may_change_its_order() -> None:
    order = JointOrder(NAMES)
    message = JointState(name=list(NAMES), position=[1.0, 2.0, 3.0])
    assert order.read(message, "position").tolist() == [1.0, 2.0, 3.0]
    message = JointState(name=list(reversed(NAMES)), position=[1.0, 2.0, 3.0])
    assert order.read(message, "position").tolist() == [3.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["hip", "thigh", "knee"], r"name\[2\]: unknown joint 'knee'"),
        (["hip", "hip", "calf"], r"name\[1\]: duplicate joint 'hip'"),
        (["hip", "calf"], "joint 'thigh' is missing"),
        (["hip", "thigh", "calf", "tail"], "unknown joint 'tail'"),
        ([], "joint 'hip' is missing"),
    ],
)
def test_wrong_joint_names_are_refused_by_name(names: list[str], reason: str) -> None:
    order = JointOrder(NAMES)
    order.read(JointState(name=list(NAMES), position=[0.0] * 3), "position")
    with pytest.raises(MessageError, match=reason):
        order.read(JointState(name=names, position=[0.0] * len(names)), "position")


@given(st.lists(st.sampled_from([*NAMES, "knee", ""]), max_size=6), st.lists(ANY_FLOAT, max_size=6))
def test_a_joint_message_is_either_refused_or_complete(names: list[str], values: list[float]) -> None:
    message = JointState(name=names, position=values)
    try:
        read = JointOrder(NAMES).read(message, "position")
    except MessageError:
        assert sorted(names) != sorted(NAMES) or len(values) != 3
        return
    assert read.shape == (3,)
    assert sorted(names) == sorted(NAMES)


@given(robot_states())
def test_a_state_survives_ros_nan_included(state: RobotState) -> None:
    stamp = StampClock(0).to_ros(state.stamp)
    joint = conversions.joint_state_message(NAMES, state, stamp)
    imu = conversions.imu_message(state, stamp, "imu")
    order = JointOrder(NAMES)
    pairs = [
        (order.read(joint, "position"), state.joint_pos),
        (order.read(joint, "velocity"), state.joint_vel),
        (conversions.imu_quat(imu), state.imu_quat),
        (conversions.gyro(imu), state.gyro),
    ]
    if state.joint_torque is not None:
        pairs.append((order.read(joint, "effort"), state.joint_torque))
    assert all(np.array_equal(read, sent, equal_nan=True) for read, sent in pairs)
    assert joint.header.stamp == imu.header.stamp
    assert (imu.linear_acceleration_covariance[0] == -1.0) == (state.accel is None)


def test_quaternions_are_xyzw_in_ros() -> None:
    message = Imu()
    message.orientation.w, message.orientation.x = 0.1, 0.2
    message.orientation.y, message.orientation.z = 0.3, 0.4
    assert conversions.imu_quat(message).tolist() == [0.1, 0.2, 0.3, 0.4]


def test_a_velocity_command_is_planar() -> None:
    message = conversions.velocity_message(0.6, -0.1, 0.3, StampClock(0).to_ros(0.0))
    assert conversions.velocity_command(message.twist) == {"vx": 0.6, "vy": -0.1, "yaw_rate": 0.3}


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)


@given(
    st.sampled_from(Mode),
    st.sampled_from(Reaction),
    st.lists(TEXTS, max_size=3),
    st.integers(0, 10**6),
    st.lists(TEXTS, max_size=3),
    st.integers(0, 10**6),
)
def test_a_safety_report_survives_ros(
    mode: Mode, reaction: Reaction, causes: list[str], trips: int, last: list[str], refused: int
) -> None:
    report = SafetyReport(mode, reaction, tuple(causes), trips, tuple(last), refused)
    message = safety_report.to_message(report, "unitree_go2", StampClock(0).to_ros(0.0))
    assert safety_report.from_message(message) == report


def test_severity_shows_in_the_level_that_tools_colour_by() -> None:
    def level(reaction: Reaction) -> bytes:
        report = SafetyReport(Mode.ACTIVE, reaction)
        return safety_report.to_message(report, "r", StampClock(0).to_ros(0.0)).status[0].level

    assert level(Reaction.NONE) == DiagnosticStatus.OK
    assert level(Reaction.HOLD) == DiagnosticStatus.WARN
    assert level(Reaction.STOP) == DiagnosticStatus.ERROR


@pytest.mark.parametrize(
    ("key", "value"), [("mode", "flying"), ("reaction", "panic"), ("trips", "many"), ("trips", None)]
)
def test_a_report_that_is_not_ours_is_refused(key: str, value: str | None) -> None:
    values = {"mode": "active", "reaction": "none", "trips": "0", "refused_commands": "0", key: value}
    pairs = [KeyValue(key=k, value=v) for k, v in values.items() if v is not None]
    with pytest.raises(MessageError):
        safety_report.from_message(DiagnosticArray(status=[DiagnosticStatus(name="safety", values=pairs)]))
    with pytest.raises(MessageError, match="expected one"):
        safety_report.from_message(DiagnosticArray())


def test_infinite_and_huge_numbers_pass_to_whoever_judges_them() -> None:
    message = JointState(name=list(NAMES), position=[math.inf, -1e308, math.nan])
    assert JointOrder(NAMES).read(message, "position")[0] == math.inf
