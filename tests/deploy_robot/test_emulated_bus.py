import dataclasses
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deploy_robot.drivers.emulated_bus import (
    MAX_FRAME_SIZE,
    MAX_JOINTS,
    FrameError,
    LowCommand,
    LowState,
    decode_command,
    decode_state,
    encode,
)

# Whatever a float32 can say, NaN and infinity included.
NUMBERS = st.floats(width=32, allow_nan=True, allow_infinity=True)
SEQUENCES = st.integers(0, 2**32 - 1)
STAMPS = st.floats(0.0, 1e9)


def vectors(size: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, size, elements=NUMBERS)


@st.composite
def states(draw: st.DrawFn) -> LowState:
    sizes = [*[draw(st.integers(1, MAX_JOINTS))] * 3, 4, 3, 3]
    return LowState(draw(SEQUENCES), draw(STAMPS), *(draw(vectors(size)) for size in sizes))


@st.composite
def commands(draw: st.DrawFn) -> LowCommand:
    joints = draw(st.integers(1, MAX_JOINTS))
    return LowCommand(draw(SEQUENCES), draw(STAMPS), *(draw(vectors(joints)) for _ in range(3)))


def same(a: object, b: object) -> bool:
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(values(a), values(b), strict=True))


def values(frame: object) -> list[np.ndarray]:
    return [np.asarray(getattr(frame, field.name)) for field in dataclasses.fields(frame)]  # type: ignore[arg-type]


def reseal(body: bytes) -> bytes:
    """The CRC of a frame whose header was tampered with, so that only the other checks can refuse it."""
    return body + struct.pack("<I", zlib.crc32(body))


STATE = LowState(7, 1.5, np.zeros(12), np.ones(12), np.ones(12), np.ones(4), np.ones(3), np.ones(3))
COMMAND = LowCommand(7, 1.5, np.zeros(12), np.ones(12), np.ones(12))


@given(states())
def test_a_state_survives_the_bus_nan_included(frame: LowState) -> None:
    datagram = encode(frame)
    assert len(datagram) <= MAX_FRAME_SIZE
    assert same(decode_state(datagram), frame)


@given(commands())
def test_a_command_survives_the_bus_nan_included(frame: LowCommand) -> None:
    assert same(decode_command(encode(frame)), frame)


@given(st.binary(max_size=2 * MAX_FRAME_SIZE))
def test_noise_is_refused(datagram: bytes) -> None:
    for decode in (decode_state, decode_command):
        with pytest.raises(FrameError):
            decode(datagram)


@given(st.integers(0, len(encode(STATE)) * 8 - 1))
def test_one_flipped_bit_is_refused(bit: int) -> None:
    datagram = bytearray(encode(STATE))
    datagram[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        decode_state(bytes(datagram))


@given(st.integers(0, len(encode(STATE)) - 1))
def test_a_cut_frame_is_refused(length: int) -> None:
    with pytest.raises(FrameError):
        decode_state(encode(STATE)[:length])


@given(st.integers(0, 70), SEQUENCES, st.floats(), st.data())
def test_a_frame_with_a_right_crc_is_refused_or_well_formed(
    joints: int, sequence: int, stamp: float, data: st.DataObject
) -> None:
    size = 4 * (3 * joints + 10) + data.draw(st.sampled_from([0, 0, -4, 1, 4]))
    payload = data.draw(st.binary(min_size=max(size, 0), max_size=max(size, 0)))
    header = struct.pack("<4sBBHId", b"LBUS", 1, 1, joints, sequence, stamp)
    try:
        frame = decode_state(reseal(header + payload))
    except FrameError:
        assert not 1 <= joints <= MAX_JOINTS or not np.isfinite(stamp) or size != 4 * (3 * joints + 10)
        return
    assert 1 <= joints <= MAX_JOINTS
    assert [frame.joint_pos.size, frame.joint_vel.size, frame.joint_torque.size] == [joints] * 3
    assert np.isfinite(frame.stamp)


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, b"XBUS", "magic"),
        (4, b"\x02", "version"),
        (5, b"\x02", "kind"),
        (6, b"\x00\x00", "joints"),
        (6, b"\xff\xff", "joints"),
        (6, b"\x0b\x00", "bytes"),
        (12, struct.pack("<d", float("nan")), "stamp"),
    ],
)
def test_each_header_field_is_checked(offset: int, value: bytes, reason: str) -> None:
    body = bytearray(encode(STATE)[:-4])
    body[offset : offset + len(value)] = value
    with pytest.raises(FrameError, match=reason):
        decode_state(reseal(bytes(body)))


def test_a_frame_of_the_other_kind_is_refused() -> None:
    with pytest.raises(FrameError, match="kind"):
        decode_state(encode(COMMAND))
    with pytest.raises(FrameError, match="kind"):
        decode_command(encode(STATE))


def test_arrays_that_do_not_belong_together_are_not_encoded() -> None:
    with pytest.raises(ValueError, match="expected"):
        encode(dataclasses.replace(COMMAND, kp=np.ones(11)))
    with pytest.raises(ValueError, match="expected"):
        encode(LowCommand(0, 0.0, *(np.zeros(MAX_JOINTS + 1) for _ in range(3))))


def test_what_float32_cannot_hold_becomes_infinite() -> None:
    frame = dataclasses.replace(COMMAND, joint_target=np.full(12, 1e300))
    assert np.isinf(decode_command(encode(frame)).joint_target).all()
