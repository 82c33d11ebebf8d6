"""The driver that docs/drivers.md shows, on a serial line: a pseudo-terminal whose other end is the robot."""

import os
import re
import threading
import time
import tty
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contract.robots
from contract.errors import LandbridgeError, UsageError
from contract.robot import Robot
from deploy_robot import drivers
from deploy_robot.driver import Driver, JointCommand

PAGE = Path(__file__).parents[2] / "docs" / "drivers.md"
ROBOT = contract.robots.load("unitree_go2")
SLOTS = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]  # of the description's joints, on the line
PATIENCE = 60.0  # s


def example() -> str:
    match = re.search(r"<!-- example -->\s*```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert match
    return match[1]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    module = ModuleType("serial_driver")
    exec(compile(example(), str(PAGE), "exec"), module.__dict__)
    return module


def sealed(body: str) -> bytes:
    return f"{body}*{zlib.crc32(body.encode()):08x}\n".encode()


def state(counter: int, first: str = "0") -> bytes:
    """Twelve angles of 10 deg times the slot, and other numbers everywhere."""
    pos = [first, *(str(10 * slot) for slot in range(1, 12))]
    vel = [str(slot) for slot in range(12)]
    return sealed(",".join(["S", str(counter), *pos, *vel, "0.1", "0.2", "0.3", "0.9", "90", "180", "-90"]))


class Line:
    """A pseudo-terminal; `write` is what the robot says."""

    def __init__(self) -> None:
        self.robot, self._computer = os.openpty()
        tty.setraw(self._computer)
        os.set_blocking(self.robot, False)
        self.device = os.ttyname(self._computer)

    def write(self, data: bytes) -> None:
        os.write(self.robot, data)

    def read(self) -> bytes:
        return os.read(self.robot, 1 << 16)

    def close(self) -> None:
        os.close(self.robot)
        os.close(self._computer)


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


@pytest.fixture(scope="module")
def driver(module: ModuleType, line: Line) -> Iterator[Any]:
    module._OPEN_TIMEOUT = PATIENCE
    driver = module.SerialDriver(ROBOT, line.device)
    done = threading.Event()

    def speak() -> None:
        while not done.wait(0.01):
            line.write(state(1))

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        driver.open()
    finally:
        done.set()
        speaker.join()
    with driver:
        yield driver


def await_state(driver: Driver, seq: int) -> Any:
    deadline = time.monotonic() + PATIENCE
    while (read := driver.read()) is None or read.seq != seq:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return read


def test_it_is_a_driver_of_fewer_than_150_lines(module: ModuleType) -> None:
    loader: Callable[[Robot, str], Driver] = module.SerialDriver
    assert loader(ROBOT, "").capabilities.hardware
    assert len(example().splitlines()) < 150


def test_a_state_arrives_in_the_descriptions_order_and_units(line: Line, driver: Any) -> None:
    line.write(state(5))
    read = await_state(driver, 5)
    assert read.joint_pos == pytest.approx(np.radians([10.0 * slot for slot in SLOTS]))
    assert read.joint_vel == pytest.approx(np.radians(SLOTS))
    assert read.imu_quat.tolist() == [0.9, 0.1, 0.2, 0.3]
    assert read.gyro == pytest.approx([np.pi / 2, np.pi, -np.pi / 2])
    assert driver.read() is read


def test_the_same_counter_is_the_same_sample_and_nan_passes(line: Line, driver: Any) -> None:
    line.write(state(6, first="nan"))
    read = await_state(driver, 6)
    assert np.isnan(read.joint_pos).sum() == 1
    line.write(state(6))
    line.write(b"noise\n")
    before = driver.rejected_frames
    while driver.rejected_frames == before:
        assert driver.read() is read


def test_a_command_goes_to_each_joints_slot_in_degrees(line: Line, driver: Any) -> None:
    driver.write(JointCommand(np.radians(np.arange(12.0)), np.arange(12.0) + 20, np.arange(12.0) + 40))
    body, crc = line.read().decode().rstrip("\n").split("*")
    assert crc == f"{zlib.crc32(body.encode()):08x}"
    kind, *fields = body.split(",")
    values = np.array(fields, dtype=float).reshape(3, 12)
    assert kind == "C"
    for row, offset in enumerate((0.0, 20.0, 40.0)):
        assert values[row, SLOTS] == pytest.approx(np.arange(12.0) + offset)


@given(st.binary(max_size=400), st.integers(0, 8 * (len(state(7)) - 1) - 1))
def test_noise_and_flipped_bits_are_refused(module: ModuleType, noise: bytes, bit: int) -> None:
    decode = module.SerialDriver(ROBOT)._decode
    assert decode(noise) is None
    garbled = bytearray(state(7).rstrip(b"\n"))
    garbled[bit // 8] ^= 1 << bit % 8
    assert decode(bytes(garbled)) is None
    assert decode(state(7).rstrip(b"\n")) is not None


@pytest.mark.parametrize("body", ["", "S", "C" + ",0" * 32, "S" + ",0" * 31, "S" + ",0" * 33, "S" + ",x" * 32])
def test_a_sealed_line_of_another_form_is_refused(module: ModuleType, body: str) -> None:
    assert module.SerialDriver(ROBOT)._decode(sealed(body).rstrip(b"\n")) is None


def test_what_is_wrong_is_one_sentence(module: ModuleType, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="cartpole has other joints"):
        module.SerialDriver(contract.robots.load("cartpole"))
    with pytest.raises(LandbridgeError, match="/dev/nowhere: cannot be opened"):
        module.SerialDriver(ROBOT, "/dev/nowhere").open()
    monkeypatch.setattr(module, "_OPEN_TIMEOUT", 0.05)
    silent = Line()
    driver = module.SerialDriver(ROBOT, silent.device)
    with pytest.raises(LandbridgeError, match=r"no state in 0.05 s: is the robot on\?"):
        driver.open()
    driver.close()
    with pytest.raises(LandbridgeError, match="not open"):
        driver.read()
    silent.close()


def test_it_is_known_after_the_line_that_the_page_adds(
    module: ModuleType, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = re.search(r"^_DRIVERS = (\{.*?^\})$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert table
    names = vars(drivers) | vars(module)
    monkeypatch.setattr(drivers, "_DRIVERS", eval(table[1], names))
    assert isinstance(drivers.load("serial", ROBOT, line.device), module.SerialDriver)
