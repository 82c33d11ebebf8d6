"""Fuzzing of bus frames and ROS messages: inputs of both kinds, and readers that take too much are found out."""

import json
import zlib
from collections.abc import Callable
from random import Random

import numpy as np
import onnx
import pytest

from benchmarks.fuzzing import buses
from benchmarks.fuzzing.buses import bus_targets, plain_crc
from benchmarks.fuzzing.catalogue import all_targets
from benchmarks.fuzzing.targets import Target, Violation
from benchmarks.fuzzing.worker import make_input
from deploy_robot.drivers import emulated_bus, unitree_go2_messages
from deploy_robot.drivers.emulated_bus import LowCommand, LowState
from deploy_robot.drivers.unitree_go2_messages import LOW_STATE, crc32

INPUTS = 150


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    found = {target.name: target for target in all_targets(tmp_path_factory.mktemp("fuzz"))}
    assert {target.name for target in bus_targets()} <= set(found)
    return found


def test_every_bus_target_refuses_and_accepts():
    for target in bus_targets():
        verdicts = [target.accepts(make_input(target, 0, i)) for i in range(INPUTS)]
        assert 0.05 < np.mean(verdicts) < 0.95, target.name


@pytest.mark.parametrize("kind", ["joint states", "IMU", "velocity command", "safety report"])
def test_every_ros_target_refuses_and_accepts(kind: str, targets: dict[str, Target]):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    target = targets[f"ROS message, {kind}"]
    verdicts = [target.accepts(make_input(target, 0, i)) for i in range(INPUTS)]
    assert 0.05 < np.mean(verdicts) < 0.95


def found(read: Callable[[bytes], object], target: Target) -> set[str]:
    """What a reader is found guilty of."""
    faults = set()
    for i in range(INPUTS):
        try:
            Target(target.name, target.seed, target.change, read).accepts(make_input(target, 0, i))
        except Violation as violation:
            faults.add(str(violation))
    return faults


def test_a_reader_without_a_crc_is_found_out():
    def decode(data: bytes) -> LowState:
        body = data[:-4]
        return emulated_bus.decode_state(body + zlib.crc32(body).to_bytes(4, "little"))

    assert found(buses.read_frame(decode, 1), bus_targets()[0]) == {"accepted a wrong CRC"}


def test_a_reader_that_swaps_numbers_is_found_out():
    def decode(data: bytes) -> LowCommand:
        frame = emulated_bus.decode_command(data)
        return LowCommand(frame.sequence, frame.stamp, frame.kp, frame.joint_target, frame.kd)

    assert "read other numbers" in found(buses.read_frame(decode, 2), bus_targets()[1])


def test_a_driver_without_a_crc_is_found_out(monkeypatch: pytest.MonkeyPatch):
    target = bus_targets()[2]
    sound = unitree_go2_messages.decode
    monkeypatch.setattr(unitree_go2_messages, "decode", lambda sample, dtype: sound(_mended(sample), dtype))
    assert found(buses.read_message(LOW_STATE), target) == {"read a number from another place"}


def _mended(sample: bytes) -> bytes:
    """The sample with the CRC that its numbers ask for, where it is long enough to have one."""
    size = len(unitree_go2_messages.encode(unitree_go2_messages.low_state()))
    if len(sample) != size:
        return sample
    layout = unitree_go2_messages._LAYOUTS[LOW_STATE]
    image = np.zeros(LOW_STATE.itemsize, np.uint8)
    image[layout.in_struct] = np.frombuffer(sample, np.uint8, offset=4)[layout.in_cdr]
    return sample[:-4] + crc32(image[:-4].tobytes()).to_bytes(4, "little")


def test_the_plain_crc_is_that_of_the_driver():
    random = Random(1)
    for words in (0, 1, 7, 100):
        data = random.randbytes(4 * words)
        assert plain_crc(data) == crc32(data)


@pytest.mark.parametrize(
    "stamp", [[-1, 6], [0, 0], [2**31 - 1, 2**32 - 1], [-(2**31), 0], [1_800_000_000, 999_999_999]]
)
def test_any_stamp_of_a_message_is_sound(stamp: list[int], targets: dict[str, Target]):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    target = targets["ROS message, joint states"]
    assert target.accepts(json.dumps(json.loads(target.seed) | {"stamp": stamp}).encode())


def test_a_clock_that_shifts_stamps_is_found_out(monkeypatch: pytest.MonkeyPatch, targets: dict[str, Target]):
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from deploy_robot.ros.conversions import StampClock

    sound = StampClock.from_ros
    monkeypatch.setattr(StampClock, "from_ros", lambda self, stamp: sound(self, stamp) + 0.001)
    with pytest.raises(Violation, match="stamp"):
        targets["ROS message, joint states"].accepts(targets["ROS message, joint states"].seed)


def test_weights_that_are_too_large_are_refused_and_not_taken_for_those_of_another_file(targets: dict[str, Target]):
    target = targets["policy.onnx, scanned and run"]
    model = onnx.load_from_string(target.seed)
    model.graph.initializer[0].dims[0] = 2**34
    assert not target.accepts(model.SerializeToString())


def test_a_joint_name_of_any_length_is_refused_in_a_readable_way():
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from sensor_msgs.msg import JointState

    from deploy_robot.ros.conversions import JointOrder, MessageError

    with pytest.raises(MessageError) as error:
        JointOrder(["hip"]).read(JointState(name=["a" * 20_000], position=[0.0]), "position")
    assert len(str(error.value)) < 200
