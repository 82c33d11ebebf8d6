import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import Imu, JointState

from contract.errors import BundleError
from contract.policy_contract import CommandRange
from contract.signals import Signal
from deploy_robot.ros.conversions import MessageError
from deploy_robot.ros.policy_inputs import CommandInput, SensorPair, SignalReader, check_inputs
from tests.fixed_pose_policy import make_contract

CONTRACT = make_contract()


def joint(stamp: int) -> JointState:
    message = JointState(name=list(CONTRACT.joint_names), position=[0.5] * 12, velocity=[0.25] * 12)
    message.header.stamp = Time(nanosec=stamp)
    return message


def imu(stamp: int) -> Imu:
    message = Imu()
    message.header.stamp = Time(nanosec=stamp)
    return message


def test_only_messages_of_the_same_sample_make_a_pair() -> None:
    pair = SensorPair()
    pair.offer_joint(joint(1), 0.0)
    assert pair.newest(0.0, 1.0) is None
    pair.offer_imu(imu(2), 0.1)
    assert pair.newest(0.1, 1.0) is None
    pair.offer_joint(joint(2), 0.2)
    found = pair.newest(0.2, 1.0)
    assert found is not None
    assert found[0].header.stamp == found[1].header.stamp == Time(nanosec=2)
    pair.offer_imu(imu(3), 0.3)
    assert pair.newest(0.3, 1.0) == found


def test_an_old_pair_is_no_pair() -> None:
    pair = SensorPair()
    pair.offer_joint(joint(1), 5.0)
    pair.offer_imu(imu(1), 5.0)
    assert pair.newest(5.05, 0.06) is not None
    assert pair.newest(5.07, 0.06) is None


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.floats(0.0, 1.0)), max_size=5), st.floats(0.0, 1.0))
def test_the_command_is_always_finite_and_in_range(
    offers: list[tuple[float, float, float, float]], wait: float
) -> None:
    command, now = CommandInput(CONTRACT, 0.5), 0.0
    for vx, vy, yaw_rate, pause in offers:
        now += pause
        command.offer({"vx": vx, "vy": vy, "yaw_rate": yaw_rate}, now)
    value, bounds = command.value(now + wait), CONTRACT.command_ranges["command"]
    assert (value >= bounds.lower).all()
    assert (value <= bounds.upper).all()
    if wait > 0.5 or not offers or not all(map(math.isfinite, offers[-1][:3])):
        assert value.tolist() == [0.0, 0.0, 0.0]


def test_a_command_counts_until_its_timeout() -> None:
    command = CommandInput(CONTRACT, 0.5)
    command.offer({"vx": 0.6, "vy": 0.0, "yaw_rate": 5.0}, 10.0)
    assert command.value(10.4).tolist() == [0.6, 0.0, 1.0]
    assert command.value(10.6).tolist() == [0.0, 0.0, 0.0]


def test_zero_is_brought_into_a_range_without_it() -> None:
    contract = make_contract(
        command_ranges={"command": CommandRange(("vx", "vy", "yaw_rate"), (0.2, 0.0, 0.0), (1.0, 0.0, 0.0))}
    )
    assert CommandInput(contract, 0.5).value(0.0).tolist() == [0.2, 0.0, 0.0]


def test_a_policy_without_a_command_takes_none() -> None:
    inputs = tuple(signal for signal in CONTRACT.inputs if signal.name != "command")
    contract = make_contract(inputs=inputs, command_ranges={})
    check_inputs(contract)
    value = CommandInput(contract, 0.5).value(0.0)
    assert "command" not in SignalReader(contract).read(joint(1), imu(1), value)


def test_signals_have_the_shapes_of_the_contract() -> None:
    message = imu(1)
    message.orientation.w = 1.0
    message.angular_velocity.z = 0.7
    signals = SignalReader(CONTRACT).read(joint(1), message, np.array([0.6, 0.0, 0.1]))
    assert {name: value.shape for name, value in signals.items()} == {
        signal.name: (1, *signal.shape) for signal in CONTRACT.inputs
    }
    assert signals["imu_quat"].tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert signals["gyro"].tolist() == [[0.0, 0.0, 0.7]]
    assert signals["joint_vel"].tolist() == [[0.25] * 12]
    assert signals["command"].tolist() == [[0.6, 0.0, 0.1]]


def test_a_robot_that_gives_no_velocities_is_refused() -> None:
    message = joint(1)
    message.velocity = []
    with pytest.raises(MessageError, match="velocity has 0 numbers for 12 joints"):
        SignalReader(CONTRACT).read(message, imu(1), np.zeros(3))


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (Signal("foot_force", (4,), "N", "world"), "'foot_force' comes on no topic"),
        (Signal("gyro", (4,), "rad/s", "imu"), "'gyro' has shape"),
        (Signal("joint_torque", (3,), "N m", ""), "'joint_torque' has shape"),
    ],
)
def test_a_policy_that_reads_what_no_topic_carries_is_refused(signal: Signal, reason: str) -> None:
    others = tuple(s for s in CONTRACT.inputs if s.name != signal.name)
    with pytest.raises(BundleError, match=reason):
        check_inputs(make_contract(inputs=(*others, signal)))


def test_a_command_must_be_bounded_and_of_elements_that_cmd_vel_carries() -> None:
    with pytest.raises(BundleError, match="must be bounded"):
        check_inputs(make_contract(command_ranges={}))
    height = CommandRange(("vx", "vy", "height"), (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(BundleError, match="cmd_vel does not carry 'height'"):
        check_inputs(make_contract(command_ranges={"command": height}))
