"""The bytes of a Go2's bus, against Unitree's own Python SDK and against what a robot has sent."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("unitree_sdk2py", reason="Unitree's SDK is not installed")

from unitree_sdk2py.idl.default import unitree_go_msg_dds__LowCmd_, unitree_go_msg_dds__LowState_
from unitree_sdk2py.utils.crc import CRC

from contract.rotations import euler_from_quat
from deploy_robot.drivers import unitree_go2_dds as dds
from deploy_robot.drivers import unitree_go2_messages as messages
from deploy_robot.drivers.emulated_bus import FrameError
from deploy_robot.drivers.unitree_go2_messages import LOW_CMD, LOW_STATE, Message, crc32, decode, encode
from tests import unitree_go2_recorded as recorded

MAKERS = {LOW_STATE: unitree_go_msg_dds__LowState_, LOW_CMD: unitree_go_msg_dds__LowCmd_}
TYPES = (LOW_STATE, LOW_CMD)
HEADER = b"\x00\x01\x00\x00"


@st.composite
def any_message(draw: st.DrawFn) -> Message:
    """Random in every bit that the SDK can take, padding too."""
    dtype = draw(st.sampled_from(TYPES))
    image = np.frombuffer(draw(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize)), np.uint8).copy()
    message = image.view(dtype)[0]
    tame(message)
    return message


def tame(message: Any) -> None:
    for name in message.dtype.names:
        base = message.dtype[name].base
        if base.names:
            tame(message[name])
        elif base.kind == "f":  # Python's floats, which the SDK is made of, quieten signalling NaNs
            with np.errstate(invalid="ignore"):
                message[name] = np.asarray(message[name]).astype(np.float64)
        elif base == np.int8 or name == "fan_frequency":  # numbers that the SDK's types and its CRC both take
            message[name] = np.asarray(message[name]) & 0x7F


def to_sdk(message: Any, out: Any) -> Any:
    """Fill the SDK's object of the same fields."""
    for name in message.dtype.names:
        value, kind = message[name], message.dtype[name]
        if not kind.base.names:
            setattr(out, name, value.tolist())
        elif kind.subdtype:
            for element, target in zip(value, getattr(out, name), strict=True):
                to_sdk(element, target)
        else:
            to_sdk(value, getattr(out, name))
    return out


def same(a: Any, b: Any) -> bool:
    """Equal in every number but the CRC, NaN included, whatever the padding."""
    for name in a.dtype.names:
        x, y = a[name], b[name]
        if a.dtype[name].base.names:
            pairs = zip(x, y, strict=True) if a.dtype[name].subdtype else [(x, y)]
            if not all(same(p, q) for p, q in pairs):
                return False
        elif name != "crc" and np.asarray(x).tobytes() != np.asarray(y).tobytes():
            return False
    return True


@given(any_message())
def test_sample_and_crc_are_byte_for_byte_those_of_unitrees_sdk(message: Message) -> None:
    theirs = to_sdk(message, MAKERS[message.dtype]())
    theirs.crc = CRC().Crc(theirs)
    assert encode(message) == theirs.serialize()


@given(any_message())
def test_what_the_sdk_serialises_is_read_back_number_for_number(message: Message) -> None:
    theirs = to_sdk(message, MAKERS[message.dtype]())
    theirs.crc = CRC().Crc(theirs)
    read = decode(theirs.serialize(), message.dtype)
    assert same(read, message)
    assert read["crc"] == theirs.crc


@pytest.mark.parametrize(("message", "crc"), [(recorded.state(), 2726957031), (recorded.command(), 4194941488)])
def test_a_robots_own_crc_is_ours(message: Message, crc: int) -> None:
    sample = encode(message)
    assert struct.unpack("<I", sample[-4:]) == (crc,)
    assert same(decode(sample, message.dtype), message)


def test_a_robots_quaternion_is_w_x_y_z_from_the_imu_to_the_world() -> None:
    assert euler_from_quat(recorded.QUATERNION) == pytest.approx(recorded.RPY, abs=1e-5)


def test_an_encoded_message_stays_as_it_is() -> None:
    message = messages.low_cmd()
    encode(message)
    assert message["crc"] == 0


# MD5 hashes (XTypes 1.3, section 7.3.1.2) of the types that Unitree's C++ SDK announces: include/unitree/idl/go2/
# LowState_.hpp and LowCmd_.hpp of github.com/unitreerobotics/unitree_sdk2, `type_info_blob`. Only equal ones spare both
# sides the exchange of type descriptions, which crashes the robot's Cyclone DDS 0.10 where they have 8-bit integers.
@pytest.mark.parametrize(
    ("topic", "name", "minimal", "complete"),
    [
        (
            dds.LOW_STATE,
            "unitree_go::msg::dds_::LowState_",
            "853a99e23d0daa1610b65c526b40",
            "08f239c471d3a27e67e7c7723184",
        ),
        (
            dds.LOW_CMD,
            "unitree_go::msg::dds_::LowCmd_",
            "832876ceec9737d69f6ed62a3f63",
            "52cc8eb0d427d692aa2b20a90540",
        ),
    ],
)
def test_the_announced_types_are_those_of_unitrees_cpp_sdk(
    topic: dds.Topic, name: str, minimal: str, complete: str
) -> None:
    info = topic.type.__idl__.get_type_info()
    assert topic.type.__idl_typename__.replace(".", "::") == name
    assert info.minimal.typeid_with_size.type_id.value.hex() == minimal
    assert info.complete.typeid_with_size.type_id.value.hex() == complete


def crc_bit_by_bit(words: bytes) -> int:
    crc = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", words):
        for bit in range(31, -1, -1):
            top = crc >> 31 ^ word >> bit & 1
            crc = (crc << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    return crc


@given(st.binary(max_size=256).map(lambda data: data[: len(data) // 4 * 4]))
def test_the_crc_is_its_definition(words: bytes) -> None:
    assert crc32(words) == crc_bit_by_bit(words)


@given(st.sampled_from(TYPES), st.binary(max_size=1300))
def test_noise_is_refused(dtype: np.dtype[np.void], sample: bytes) -> None:
    with pytest.raises(FrameError):
        decode(sample, dtype)


@given(st.sampled_from(TYPES), st.binary(min_size=1176, max_size=1176))
def test_noise_of_the_right_length_is_refused(dtype: np.dtype[np.void], noise: bytes) -> None:
    with pytest.raises(FrameError, match="CRC"):
        decode(HEADER + noise[: len(encode(np.zeros(1, dtype)[0])) - len(HEADER)], dtype)


@given(st.data())
def test_a_flipped_bit_is_refused_or_lies_in_the_padding(data: st.DataObject) -> None:
    message = data.draw(st.sampled_from([recorded.state(), recorded.command()]))
    sample = bytearray(encode(message))
    bit = data.draw(st.integers(0, 8 * len(sample) - 1))
    sample[bit // 8] ^= 1 << bit % 8
    try:
        read = decode(bytes(sample), message.dtype)
    except FrameError:
        return
    assert same(read, message)
    assert encode(read) == encode(message)


@given(st.data(), st.integers(1, 64))
def test_a_burst_of_errors_is_refused_or_lies_in_the_padding(data: st.DataObject, size: int) -> None:
    message = recorded.state()
    sample = encode(message)
    start = data.draw(st.integers(0, len(sample) - size))
    garbled = sample[:start] + data.draw(st.binary(min_size=size, max_size=size)) + sample[start + size :]
    try:
        assert same(decode(garbled, LOW_STATE), message)
    except FrameError:
        assert garbled != sample


@given(st.sampled_from(TYPES), st.integers(0, 2000))
def test_another_length_is_refused(dtype: np.dtype[np.void], length: int) -> None:
    sample = encode(np.zeros(1, dtype)[0])
    if length != len(sample):
        with pytest.raises(FrameError):
            decode(sample.ljust(length, b"\0")[:length], dtype)


@pytest.mark.parametrize("header", ["00000000", "00060000", "01000000", "00020000"])
def test_another_encoding_is_refused(header: str) -> None:
    with pytest.raises(FrameError, match="encoding"):
        decode(bytes.fromhex(header) + encode(recorded.state())[4:], LOW_STATE)


def test_a_fresh_command_switches_every_motor_on_and_leaves_it_limp() -> None:
    motors = messages.low_cmd()["motor_cmd"]
    assert motors["mode"].tolist() == [1] * 20
    assert (motors["q"] == np.float32(2.146e9)).all()
    assert (motors["dq"] == 16000.0).all()
    for field in ("kp", "kd", "tau"):
        assert not motors[field].any()
