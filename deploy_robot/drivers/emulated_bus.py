"""The emulated robot's bus: one frame a UDP datagram, guarded like a motor bus by length, version and CRC.

Layout, little endian:

    magic "LBUS" | version u8 | kind u8 | joints u16 | sequence u32 | stamp f64 | payload f32... | CRC-32 u32

    state    joint_pos, joint_vel, joint_torque (joints each), imu_quat (4), gyro (3), accel (3)
    command  joint_target, kp, kd (joints each)

The CRC (zlib's CRC-32) covers all bytes before it. Both sides sit on one machine and stamp with its steady
clock, so that ages and delays across the bus are exact. The robot listens for commands on `port` and sends
its states to `port + 1`: only one program can hold that port, hence only one can believe that it drives the
robot.

Payload numbers may be NaN or infinite: a broken sensor must be able to say so, and judging it is the
supervisor's job, not the parser's.
"""

import math
import struct
import zlib
from dataclasses import dataclass, fields
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HOST = "127.0.0.1"
DEFAULT_PORT = 6210  # below the ports of DDS (from 7400) and those that the system hands out (from 32768)
MAX_JOINTS = 64
VERSION = 1

_MAGIC = b"LBUS"
_STATE, _COMMAND = 1, 2
_HEADER = struct.Struct("<4sBBHId")
_CRC = struct.Struct("<I")
_SEQUENCE_SPAN = 2**32


class FrameError(ValueError):
    """A datagram that is not a sound frame; receivers count it and drop it."""


@dataclass(frozen=True, eq=False)
class LowState:
    """What the robot measured at `stamp`. Joint arrays are (joints,), in the description's order."""

    sequence: int  # counts up, modulo 2**32
    stamp: float  # s, steady clock, when the sensors were sampled
    joint_pos: Array  # rad
    joint_vel: Array  # rad/s
    joint_torque: Array  # N m, estimated by the motor controllers
    imu_quat: Array  # (4,) w, x, y, z: world_from_imu
    gyro: Array  # (3,) rad/s, IMU frame
    accel: Array  # (3,) m/s^2, IMU frame, specific force (+g when at rest)


@dataclass(frozen=True, eq=False)
class LowCommand:
    """What the motor controllers shall do: torque = kp (joint_target - pos) - kd vel; arrays (joints,)."""

    sequence: int  # counts up, modulo 2**32
    stamp: float  # s, steady clock, when the command was sent
    joint_target: Array  # rad
    kp: Array  # N m/rad
    kd: Array  # N m s/rad


def _sizes(kind: int, joints: int) -> tuple[int, ...]:
    return (joints, joints, joints, 4, 3, 3) if kind == _STATE else (joints, joints, joints)


def frame_size(frame: type[LowState] | type[LowCommand], joints: int) -> int:
    """Bytes of a frame of that type."""
    kind = _STATE if frame is LowState else _COMMAND
    return _HEADER.size + 4 * sum(_sizes(kind, joints)) + _CRC.size


MAX_FRAME_SIZE = frame_size(LowState, MAX_JOINTS)


def encode(frame: LowState | LowCommand) -> bytes:
    """The datagram of a frame; numbers are rounded to float32.

    Raises:
        ValueError: an array has another size than the layout says, or there are no or too many joints.
    """
    kind, arrays = (_STATE if isinstance(frame, LowState) else _COMMAND), _arrays(frame)
    joints = arrays[0].size
    sizes = tuple(array.size for array in arrays)
    if not 1 <= joints <= MAX_JOINTS or sizes != _sizes(kind, joints):
        raise ValueError(f"{type(frame).__name__} has arrays of {sizes} numbers; expected {_sizes(kind, joints)}")
    header = _HEADER.pack(_MAGIC, VERSION, kind, joints, frame.sequence % _SEQUENCE_SPAN, frame.stamp)
    with np.errstate(over="ignore"):  # beyond float32 is infinite on this bus, as on a real one
        body = header + np.concatenate(arrays).astype("<f4").tobytes()
    return body + _CRC.pack(zlib.crc32(body))


def decode_state(datagram: bytes) -> LowState:
    """Inverse of `encode`. FrameError where the datagram is not a sound state frame."""
    sequence, stamp, arrays = _decode(datagram, _STATE)
    return LowState(sequence, stamp, *arrays)


def decode_command(datagram: bytes) -> LowCommand:
    """Inverse of `encode`. FrameError where the datagram is not a sound command frame."""
    sequence, stamp, arrays = _decode(datagram, _COMMAND)
    return LowCommand(sequence, stamp, *arrays)


def _arrays(frame: LowState | LowCommand) -> list[Array]:
    values = (getattr(frame, field.name) for field in fields(frame))
    return [value for value in values if isinstance(value, np.ndarray)]


def _decode(datagram: bytes, expected_kind: int) -> tuple[int, float, list[Array]]:
    if len(datagram) < _HEADER.size + _CRC.size:
        raise FrameError(f"{len(datagram)} bytes are too few for a frame")
    magic, version, kind, joints, sequence, stamp = _HEADER.unpack_from(datagram)
    if magic != _MAGIC:
        raise FrameError(f"magic is {magic!r}, expected {_MAGIC!r}")
    if version != VERSION:
        raise FrameError(f"version is {version}, expected {VERSION}")
    if kind != expected_kind:
        raise FrameError(f"kind is {kind}, expected {expected_kind}")
    if not 1 <= joints <= MAX_JOINTS:
        raise FrameError(f"{joints} joints, expected 1 to {MAX_JOINTS}")
    sizes = _sizes(kind, joints)
    expected_length = _HEADER.size + 4 * sum(sizes) + _CRC.size
    if len(datagram) != expected_length:
        raise FrameError(f"{len(datagram)} bytes, expected {expected_length} for {joints} joints")
    body, (crc,) = datagram[: -_CRC.size], _CRC.unpack_from(datagram, len(datagram) - _CRC.size)
    if zlib.crc32(body) != crc:
        raise FrameError("CRC does not match")
    if not math.isfinite(stamp):
        raise FrameError(f"stamp is {stamp}")
    with np.errstate(invalid="ignore"):  # a NaN of the signalling kind is a number like any other here
        payload = np.frombuffer(body, "<f4", offset=_HEADER.size).astype(np.float64)
    ends = tuple(accumulate(sizes))
    return sequence, stamp, [payload[end - size : end] for end, size in zip(ends, sizes, strict=True)]
