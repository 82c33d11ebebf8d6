"""The ROS messages of a recording as bytes (CDR, little endian), written and read without ROS.

A control loop can afford this for each message that it records, and a desk computer without ROS can read it. The
encoding is plain CDR version 1 as ROS 2 uses it (DDSI-RTPS 2.5, section 10): every number is aligned to its own size,
counted from behind the four bytes that name the encoding.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deploy_robot.driver import Array

_LITTLE_ENDIAN = b"\x00\x01\x00\x00"
_STAMP = struct.Struct("<iI")
_NANOSECONDS = 1_000_000_000
_UNKNOWN = np.zeros(9)  # sensor_msgs/Imu: covariance unknown
_ABSENT = np.array([-1.0] + 8 * [0.0])  # sensor_msgs/Imu: no estimate of this quantity


class CdrError(ValueError):
    """The bytes are not a message of the type that was asked for."""


class _Writer:
    def __init__(self) -> None:
        self._data = bytearray()

    def number(self, code: str, value: float) -> None:
        self._align(struct.calcsize(code))
        self._data += struct.pack("<" + code, value)

    def string(self, text: str) -> None:
        raw = text.encode() + b"\0"
        self.number("I", len(raw))
        self._data += raw

    def header(self, nanoseconds: int, frame: str = "") -> None:
        self.number("i", nanoseconds // _NANOSECONDS)
        self.number("I", nanoseconds % _NANOSECONDS)
        self.string(frame)

    def doubles(self, count: int) -> slice:
        """Zeros, and where in the message they are."""
        self._align(8)
        start = len(_LITTLE_ENDIAN) + len(self._data)
        self._data += bytes(8 * count)
        return slice(start, start + 8 * count)

    def message(self) -> bytes:
        return _LITTLE_ENDIAN + self._data

    def _align(self, size: int) -> None:
        self._data += bytes(-len(self._data) % size)


class _Reader:
    def __init__(self, data: bytes) -> None:
        if data[:4] != _LITTLE_ENDIAN:
            raise CdrError("not little-endian CDR")
        self._data = memoryview(data)[4:]
        self._at = 0

    def number(self, code: str) -> int:
        size = struct.calcsize(code)
        self._at += -self._at % size
        (value,) = struct.unpack("<" + code, self._take(size))
        return int(value)

    def string(self) -> str:
        return bytes(self._take(self.number("I")))[:-1].decode("utf-8", "replace")

    def sequence(self) -> Array:
        count = self.number("I")
        return self.doubles(count) if count else np.zeros(0)

    def doubles(self, count: int) -> Array:
        self._at += -self._at % 8
        return np.frombuffer(self._take(8 * count), np.float64)

    def _take(self, size: int) -> memoryview:
        if self._at + size > len(self._data):
            raise CdrError("the message ends early")
        self._at += size
        return self._data[self._at - size : self._at]


class Sections:
    """A row of doubles in named sections, as std_msgs/Float64MultiArray: each `layout.dim` is a section.

    Args:
        sizes: numbers in each section, by name, in order.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        self.total = sum(sizes.values())
        writer = _Writer()
        writer.number("I", len(sizes))
        for label, size in sizes.items():
            writer.string(label)
            writer.number("I", size)
            writer.number("I", size)  # stride
        writer.number("I", 0)  # data_offset
        writer.number("I", self.total)
        place = writer.doubles(self.total)
        self._prefix = writer.message()[: place.start]

    def message(self, parts: Iterable[Sequence[float] | NDArray[np.floating]]) -> bytes:
        """The message of a row, given in pieces; ValueError where it is not as long as the sections."""
        row = np.concatenate([*parts], dtype=np.float64)
        if row.size != self.total:
            raise ValueError(f"{row.size} numbers for {self.total}")
        return self._prefix + row.tobytes()


def read_sections(data: bytes) -> dict[str, Array]:
    """The sections of a Float64MultiArray by name; CdrError where it is none, or not made by `Sections`."""
    reader = _Reader(data)
    sizes: dict[str, int] = {}
    for _ in range(reader.number("I")):
        label, size, _stride = reader.string(), reader.number("I"), reader.number("I")
        sizes[label] = size
    reader.number("I")
    row = reader.sequence()
    if row.size != sum(sizes.values()):
        raise CdrError("the sections and the numbers do not match")
    ends = np.cumsum(list(sizes.values()))
    return dict(zip(sizes, np.split(row, ends[:-1]), strict=True)) if sizes else {}


class _Template:
    """A message of which only the stamp and some doubles change."""

    def __init__(self, message: bytes, places: Sequence[slice]) -> None:
        self._message = message
        self._places = places

    def fill(self, nanoseconds: int, arrays: Sequence[Array]) -> bytes:
        message = bytearray(self._message)
        _STAMP.pack_into(message, len(_LITTLE_ENDIAN), *divmod(nanoseconds, _NANOSECONDS))
        for place, values in zip(self._places, arrays, strict=True):
            raw = np.asarray(values, np.float64).tobytes()
            if len(raw) != place.stop - place.start:
                raise ValueError(f"{len(raw) // 8} numbers for {(place.stop - place.start) // 8}")
            message[place] = raw
        return bytes(message)


def joint_state(
    nanoseconds: int, names: tuple[str, ...], position: Array, velocity: Array | None, effort: Array | None
) -> bytes:
    """sensor_msgs/JointState at a ROS time in ns; ValueError where an array has not one number for each name."""
    given = (position, velocity, effort)
    template = _joint_state(names, tuple(values is not None for values in given))
    return template.fill(nanoseconds, [values for values in given if values is not None])


@lru_cache
def _joint_state(names: tuple[str, ...], given: tuple[bool, ...]) -> _Template:
    writer = _Writer()
    writer.header(0)
    writer.number("I", len(names))
    for name in names:
        writer.string(name)
    places = []
    for present in given:
        writer.number("I", len(names) if present else 0)
        if present:
            places.append(writer.doubles(len(names)))
    return _Template(writer.message(), places)


def imu(nanoseconds: int, frame: str, quat: Array, gyro: Array, accel: Array | None) -> bytes:
    """sensor_msgs/Imu; `quat` is (w, x, y, z). ValueError where an array has another size than it must have."""
    linear = (np.zeros(3), _ABSENT) if accel is None else (accel, _UNKNOWN)
    row = np.concatenate([quat[1:], quat[:1], _UNKNOWN, gyro, _UNKNOWN, *linear])
    return _imu(frame).fill(nanoseconds, [row])


@lru_cache
def _imu(frame: str) -> _Template:
    writer = _Writer()
    writer.header(0, frame)
    place = writer.doubles(4 + 3 + 3 + 3 * len(_UNKNOWN))
    return _Template(writer.message(), [place])


@dataclass(frozen=True)
class Diagnostic:
    """diagnostic_msgs/DiagnosticStatus."""

    level: int  # 0 ok, 1 warning, 2 error
    name: str
    message: str
    hardware_id: str
    values: tuple[tuple[str, str], ...] = ()


def diagnostics(nanoseconds: int, statuses: Sequence[Diagnostic]) -> bytes:
    """diagnostic_msgs/DiagnosticArray."""
    writer = _Writer()
    writer.header(nanoseconds)
    writer.number("I", len(statuses))
    for status in statuses:
        writer.number("B", status.level)
        writer.string(status.name)
        writer.string(status.message)
        writer.string(status.hardware_id)
        writer.number("I", len(status.values))
        for pair in status.values:
            for text in pair:
                writer.string(text)
    return writer.message()


def read_diagnostics(data: bytes) -> tuple[Diagnostic, ...]:
    """Inverse of `diagnostics`, without the header; CdrError where it is none."""
    reader = _Reader(data)
    reader.number("i")
    reader.number("I")
    reader.string()
    statuses = []
    for _ in range(reader.number("I")):
        level, name, message, hardware_id = reader.number("B"), reader.string(), reader.string(), reader.string()
        values = tuple((reader.string(), reader.string()) for _ in range(reader.number("I")))
        statuses.append(Diagnostic(level, name, message, hardware_id, values))
    return tuple(statuses)


def read_joint_state(data: bytes) -> tuple[int, tuple[str, ...], Array, Array, Array]:
    """Stamp (ROS time, ns), names, position, velocity, effort of a sensor_msgs/JointState; CdrError if it is none."""
    reader = _Reader(data)
    stamp = _read_stamp(reader)
    names = tuple(reader.string() for _ in range(reader.number("I")))
    return stamp, names, reader.sequence(), reader.sequence(), reader.sequence()


def read_imu(data: bytes) -> tuple[int, Array, Array, Array | None]:
    """Stamp (ROS time, ns), orientation (w, x, y, z), angular velocity, and linear acceleration where it is given.

    Raises:
        CdrError: the bytes are no sensor_msgs/Imu.
    """
    reader = _Reader(data)
    stamp = _read_stamp(reader)
    row = reader.doubles(4 + 3 + 3 + 3 * len(_UNKNOWN))
    quat, gyro, accel = row[[3, 0, 1, 2]], row[13:16], row[25:28]
    return stamp, quat, gyro, None if row[28] == _ABSENT[0] else accel


def _read_stamp(reader: _Reader) -> int:
    seconds, nanoseconds = reader.number("i"), reader.number("I")
    reader.string()  # the frame
    return seconds * _NANOSECONDS + nanoseconds
