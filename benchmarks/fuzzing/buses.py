"""Frames of the emulated bus and messages of a Unitree Go2, damaged or forged with checksums that hold.

Whatever is accepted is read again by the layouts' own words: a header that is unpacked here, a CRC that is computed bit
by bit as Unitree's example does.
"""

import binascii
import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from benchmarks.fuzzing.mutations import damage
from benchmarks.fuzzing.targets import Target, Violation
from contract.errors import LandbridgeError
from deploy_robot.drivers import emulated_bus, unitree_go2_messages
from deploy_robot.drivers.emulated_bus import FrameError, LowCommand, LowState
from deploy_robot.drivers.unitree_go2_messages import LOW_CMD, LOW_STATE

_JOINTS = 12
_HEADER = struct.Struct("<4sBBHId")
_NUMBERS = (0.0, -0.0, 1e-40, 1e38, -1e38, math.nan, math.inf, -math.inf)
_STAMPS = (*_NUMBERS, 1e308, -1.0)


class Refused(LandbridgeError):
    """A FrameError, as the fuzzer knows refusals."""


def bus_targets() -> tuple[Target, ...]:
    """Both frames of the emulated bus, both messages of the Go2."""
    n, rng = _JOINTS, np.random.default_rng(0)
    state = LowState(7, 123.5, *(rng.normal(size=size) for size in (n, n, n, 4, 3, 3)))
    command = LowCommand(7, 123.5, *(rng.normal(size=n) for _ in range(3)))
    targets = [
        Target(f"emulated bus, {name}", emulated_bus.encode(frame), change_frame, read_frame(decode, kind))
        for name, frame, decode, kind in (
            ("state", state, emulated_bus.decode_state, 1),
            ("command", command, emulated_bus.decode_command, 2),
        )
    ]
    for name, message in (("state", unitree_go2_messages.low_state()), ("command", unitree_go2_messages.low_cmd())):
        dtype = message.dtype
        seed = unitree_go2_messages.encode(message)
        targets.append(Target(f"Unitree Go2, {name}", seed, change_message(dtype), read_message(dtype)))
    return tuple(targets)


def change_frame(random: Random, data: bytes) -> bytes:
    """Damage, or a change to the header or the numbers under a CRC that holds."""
    if random.random() < 0.4:
        return damage(random, data)
    magic, version, kind, joints, sequence, stamp = _HEADER.unpack_from(data)
    payload = bytearray(data[_HEADER.size : -4])
    for _ in range(random.choice((1, 1, 2))):
        match random.randrange(7):
            case 0:
                joints = random.choice((0, 1, 11, 13, 64, 65, 2**16 - 1))
            case 1:
                stamp = random.choice(_STAMPS)
            case 2:
                kind = random.randrange(4)
            case 3:
                version = random.choice((0, 2, 255))
            case 4:
                sequence = random.randrange(2**32)
            case 5:
                payload = bytearray(random.randbytes(4 * random.choice((0, 1, 3, 13, 36, 46, 192, 202))))
            case _ if len(payload) >= 4:
                place = 4 * random.randrange(len(payload) // 4)
                payload[place : place + 4] = struct.pack("<f", random.choice(_NUMBERS))
    body = _HEADER.pack(magic, version, kind, joints, sequence, stamp) + payload
    return body + struct.pack("<I", binascii.crc32(body))


def read_frame(decode: Callable[[bytes], Any], kind: int) -> Callable[[bytes], object]:
    """Reads a frame."""

    def read(data: bytes) -> None:
        try:
            frame = decode(data)
        except FrameError as error:
            raise Refused(str(error)) from None
        magic, version, found, joints, sequence, stamp = _HEADER.unpack_from(data)
        sizes = (joints, joints, joints, 4, 3, 3) if kind == 1 else (joints, joints, joints)
        if (magic, version, found) != (b"LBUS", 1, kind) or not 1 <= joints <= 64 or not math.isfinite(stamp):
            raise Violation("accepted a wrong header")
        if len(data) != _HEADER.size + 4 * sum(sizes) + 4:
            raise Violation("accepted a wrong length")
        if binascii.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise Violation("accepted a wrong CRC")
        if (frame.sequence, frame.stamp) != (sequence, stamp):
            raise Violation("read another header")
        arrays = [value for value in vars(frame).values() if isinstance(value, np.ndarray)]
        if tuple(array.shape for array in arrays) != tuple((size,) for size in sizes):
            raise Violation("read arrays of other sizes")
        numbers = struct.unpack(f"<{sum(sizes)}f", data[_HEADER.size : -4])
        if not np.array_equal(np.concatenate(arrays), np.array(numbers), equal_nan=True):
            raise Violation("read other numbers")

    return read


def change_message(dtype: np.dtype[np.void]) -> Callable[[Random, bytes], bytes]:
    """Damage, or random fields under a CRC that holds."""

    def change(random: Random, data: bytes) -> bytes:
        if random.random() < 0.5:
            return damage(random, data)
        message = unitree_go2_messages.decode(data, dtype)
        for _ in range(random.choice((1, 2, 8))):
            _randomise(random, message)
        made = bytearray(unitree_go2_messages.encode(message))
        if random.random() < 0.2:  # the header of a serialised sample
            made[random.randrange(4)] = random.randrange(256)
        return bytes(made)

    return change


def _randomise(random: Random, record: Any) -> None:
    name = random.choice(record.dtype.names)
    field = record[name]
    if isinstance(field, np.ndarray) and field.dtype.names:
        _randomise(random, field[random.randrange(len(field))])
    elif isinstance(field, np.void):
        _randomise(random, field)
    elif isinstance(field, np.ndarray):
        field[random.randrange(len(field))] = _number(random, field.dtype)
    else:
        record[name] = _number(random, record.dtype[name])


def _number(random: Random, dtype: np.dtype[Any]) -> Any:
    return np.frombuffer(random.randbytes(dtype.itemsize), dtype)[0]


def read_message(dtype: np.dtype[np.void]) -> Callable[[bytes], object]:
    """Reads a message."""

    def read(data: bytes) -> None:
        try:
            message = unitree_go2_messages.decode(data, dtype)
        except FrameError as error:
            raise Refused(str(error)) from None
        image = message.tobytes()
        if data[:2] != b"\x00\x01" or int.from_bytes(image[-4:], "little") != plain_crc(image[:-4]):
            raise Violation("accepted a wrong encoding or CRC")
        again = unitree_go2_messages.encode(message)
        if len(again) != len(data) or unitree_go2_messages.decode(again, dtype).tobytes() != image:
            raise Violation("reads another message back")
        differing = np.frombuffer(again, np.uint8)[4:] != np.frombuffer(data, np.uint8)[4:]
        if differing.any() and not set(np.flatnonzero(differing)) <= _GAPS[dtype]:
            raise Violation("read a number from another place")

    return read


def plain_crc(data: bytes) -> int:
    """As in Unitree's motor_crc.cpp, bit by bit."""
    crc = 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", data):
        for bit in range(31, -1, -1):
            top = crc >> 31 != 0
            crc = (crc << 1) & 0xFFFFFFFF
            if top:
                crc ^= 0x04C11DB7
            if word >> bit & 1:
                crc ^= 0x04C11DB7
    return crc


def _gaps(dtype: np.dtype[np.void]) -> frozenset[int]:
    """Places in the CDR, from behind its header, that belong to no number: changing them changes no message."""
    ones = np.frombuffer(b"\xff" * dtype.itemsize, dtype)[0]
    full = np.frombuffer(unitree_go2_messages.encode(ones), np.uint8)[4:]
    return frozenset(np.flatnonzero(full[:-4] == 0).tolist())


_GAPS = {dtype: _gaps(dtype) for dtype in (LOW_STATE, LOW_CMD)}
