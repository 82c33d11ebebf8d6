"""The two messages of a Unitree Go2's motor bus as arrays and as bytes: layout, motor order, CRC, CDR.

    rt/lowstate  LOW_STATE  robot to computer, 500 Hz
    rt/lowcmd    LOW_CMD    computer to robot

The layouts are the C structs whose CRC the robot computes; on the wire they travel as DDS serialises them
(XCDR1, little endian), which leaves out the padding at the end of a struct.

Sources: fields and their order, github.com/unitreerobotics/unitree_ros2, cyclonedds_ws/src/unitree/unitree_go/msg;
CRC, example/src/src/common/motor_crc.cpp there; motor order, values of `mode`, `head`, `level_flag` and the stop
values, github.com/unitreerobotics/unitree_sdk2_python, example/go2/low_level. The tests hold both against Unitree's
own Python SDK and against messages that were recorded from a robot.
"""

import zlib
from collections.abc import Generator
from math import prod

import numpy as np

from deploy_robot.drivers.emulated_bus import FrameError

MOTORS = tuple(f"{leg}_{joint}_joint" for leg in ("FR", "FL", "RR", "RL") for joint in ("hip", "thigh", "calf"))
"""The joint at each of the first motor slots; the rest are unused."""

HEAD = (0xFE, 0xEF)
LOW_LEVEL = 0xFF  # level_flag of a motor command
SERVO = 0x01  # mode of a motor that is to obey
POS_STOP = 2.146e9  # rad, as `q`: no position control
VEL_STOP = 16_000.0  # rad/s, as `dq`: no velocity control

_SLOTS = 20

_IMU_STATE = np.dtype(
    [
        ("quaternion", "<f4", 4),  # w, x, y, z
        ("gyroscope", "<f4", 3),  # rad/s
        ("accelerometer", "<f4", 3),  # m/s^2
        ("rpy", "<f4", 3),  # rad
        ("temperature", "i1"),  # degrees Celsius
    ],
    align=True,
)
_MOTOR_STATE = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),  # rad
        ("dq", "<f4"),  # rad/s
        ("ddq", "<f4"),
        ("tau_est", "<f4"),  # N m
        ("q_raw", "<f4"),
        ("dq_raw", "<f4"),
        ("ddq_raw", "<f4"),
        ("temperature", "i1"),  # degrees Celsius
        ("lost", "<u4"),
        ("reserve", "<u4", 2),
    ],
    align=True,
)
_BMS_STATE = np.dtype(
    [
        ("version_high", "u1"),
        ("version_low", "u1"),
        ("status", "u1"),
        ("soc", "u1"),  # percent
        ("current", "<i4"),  # mA
        ("cycle", "<u2"),
        ("bq_ntc", "i1", 2),
        ("mcu_ntc", "i1", 2),
        ("cell_vol", "<u2", 15),  # mV
    ],
    align=True,
)
_MOTOR_CMD = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),  # rad
        ("dq", "<f4"),  # rad/s
        ("tau", "<f4"),  # N m
        ("kp", "<f4"),  # N m/rad
        ("kd", "<f4"),  # N m s/rad
        ("reserve", "<u4", 3),
    ],
    align=True,
)
_BMS_CMD = np.dtype([("off", "u1"), ("reserve", "u1", 3)], align=True)

_START = [
    ("head", "u1", 2),
    ("level_flag", "u1"),
    ("frame_reserve", "u1"),
    ("sn", "<u4", 2),
    ("version", "<u4", 2),
    ("bandwidth", "<u2"),
]
LOW_STATE = np.dtype(
    [
        *_START,
        ("imu_state", _IMU_STATE),
        ("motor_state", _MOTOR_STATE, _SLOTS),
        ("bms_state", _BMS_STATE),
        ("foot_force", "<i2", 4),  # FR, FL, RR, RL; the sensors' own unit
        ("foot_force_est", "<i2", 4),
        ("tick", "<u4"),  # ms
        ("wireless_remote", "u1", 40),
        ("bit_flag", "u1"),
        ("adc_reel", "<f4"),
        ("temperature_ntc1", "i1"),
        ("temperature_ntc2", "i1"),
        ("power_v", "<f4"),  # V
        ("power_a", "<f4"),  # A
        ("fan_frequency", "<u2", 4),
        ("reserve", "<u4"),
        ("crc", "<u4"),
    ],
    align=True,
)
LOW_CMD = np.dtype(
    [
        *_START,
        ("motor_cmd", _MOTOR_CMD, _SLOTS),
        ("bms_cmd", _BMS_CMD),
        ("wireless_remote", "u1", 40),
        ("led", "u1", 12),
        ("fan", "u1", 2),
        ("gpio", "u1"),
        ("reserve", "<u4"),
        ("crc", "<u4"),
    ],
    align=True,
)
STRUCTS = {
    "imu_state": "IMUState",
    "motor_state": "MotorState",
    "bms_state": "BmsState",
    "motor_cmd": "MotorCmd",
    "bms_cmd": "BmsCmd",
}
"""Names of the structs inside, by the field that holds them."""

Message = np.void
"""A message: a record of type LOW_STATE or LOW_CMD; its fields by name, arrays as views."""

_CDR_LE = b"\x00\x01\x00\x00"  # DDS's header of a serialised sample: XCDR1, little endian
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def low_state() -> Message:
    """A LOW_STATE of zeros with its head."""
    message: Message = np.zeros(1, LOW_STATE)[0]
    message["head"] = HEAD
    return message


def low_cmd() -> Message:
    """A LOW_CMD under which every motor is on and limp."""
    message: Message = np.zeros(1, LOW_CMD)[0]
    message["head"] = HEAD
    message["level_flag"] = LOW_LEVEL
    motors = message["motor_cmd"]
    motors["mode"], motors["q"], motors["dq"] = SERVO, POS_STOP, VEL_STOP
    return message


def crc32(words: bytes) -> int:
    """Unitree's checksum of little-endian 32-bit words: CRC-32/MPEG-2, each word from its most significant bit on.

    zlib's CRC has the same polynomial (0x04C11DB7) and start, takes the bits of a byte in the other order, and inverts.
    """
    swapped = np.frombuffer(words, "<u4").byteswap().tobytes()
    mirrored = zlib.crc32(swapped.translate(_REVERSED_BITS)) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED_BITS), "big")


def encode(message: Message) -> bytes:
    """The sample to publish, with the CRC that belongs to it; `message` stays as it is."""
    layout = _LAYOUTS[message.dtype]
    image = np.zeros(message.dtype.itemsize, np.uint8)
    image[layout.in_struct] = np.frombuffer(message.tobytes(), np.uint8)[layout.in_struct]  # padding counts as zero
    image[-4:] = np.frombuffer(crc32(image[:-4].tobytes()).to_bytes(4, "little"), np.uint8)
    body = np.zeros(layout.cdr_size, np.uint8)
    body[layout.in_cdr] = image[layout.in_struct]
    return _CDR_LE + body.tobytes()


def decode(sample: bytes, dtype: np.dtype[np.void]) -> Message:
    """Inverse of `encode`.

    Args:
        dtype: LOW_STATE or LOW_CMD.

    Raises:
        FrameError: another encoding or length, or a CRC that does not belong to it.
    """
    layout = _LAYOUTS[dtype]
    if sample[:2] != _CDR_LE[:2]:
        raise FrameError(f"encoding is {sample[:2].hex()}, expected {_CDR_LE[:2].hex()}")
    if len(sample) != len(_CDR_LE) + layout.cdr_size:
        raise FrameError(f"{len(sample)} bytes, expected {len(_CDR_LE) + layout.cdr_size}")
    image = np.zeros(dtype.itemsize, np.uint8)
    image[layout.in_struct] = np.frombuffer(sample, np.uint8, offset=len(_CDR_LE))[layout.in_cdr]
    message: Message = image.view(dtype)[0]
    if crc32(image[:-4].tobytes()) != message["crc"]:
        raise FrameError("CRC does not match")
    return message


class _Layout:
    """Where each byte of a C struct lies in its CDR. Both align a number to its size, within their own bytes."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        numbers = list(_numbers(dtype, 0, 0))
        self.in_struct = np.concatenate([np.arange(at, at + size) for at, _, size in numbers])
        self.in_cdr = np.concatenate([np.arange(at, at + size) for _, at, size in numbers])
        self.cdr_size = int(self.in_cdr[-1]) + 1


def _numbers(dtype: np.dtype[np.void], offset: int, position: int) -> Generator[tuple[int, int, int], None, int]:
    """Yields offset in the struct, position in the CDR and size of each number; returns the position after the last."""
    if dtype.subdtype:
        element, shape = dtype.subdtype
        for index in range(prod(shape)):
            position = yield from _numbers(element, offset + index * element.itemsize, position)
    elif dtype.fields:
        for field, start, *_ in dtype.fields.values():
            position = yield from _numbers(field, offset + start, position)
    else:
        position += -position % dtype.itemsize
        yield offset, position, dtype.itemsize
        position += dtype.itemsize
    return position


_LAYOUTS = {dtype: _Layout(dtype) for dtype in (LOW_STATE, LOW_CMD)}
