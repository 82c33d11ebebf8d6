import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from contract import robots
from contract.errors import LandbridgeError, UsageError
from deploy_robot import drivers
from deploy_robot.driver import JointCommand
from deploy_robot.drivers import emulated, emulated_bus
from deploy_robot.drivers.emulated_bus import HOST, LowState
from tests.udp_ports import free_pair

ROBOT = robots.load("unitree_go2")


@pytest.fixture
def port() -> int:
    return free_pair()


def state(sequence: int, joints: int = 12) -> bytes:
    zeros = np.zeros(joints)
    quat, three = np.array([1.0, 0.0, 0.0, 0.0]), np.arange(3.0)
    return emulated_bus.encode(LowState(sequence, time.monotonic(), zeros + sequence, zeros, zeros, quat, three, three))


class Bus:
    """The robot's end of the bus, by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, port))
        self.socket.settimeout(30.0)
        self.to = (HOST, port + 1)

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.to)


@pytest.fixture
def bus(port: int) -> Iterator[Bus]:
    bus = Bus(port)
    with closing(bus.socket):
        yield bus


@pytest.fixture
def driver(bus: Bus, port: int) -> Iterator[emulated.EmulatedDriver]:
    driver = emulated.EmulatedDriver(ROBOT, str(port))
    done = threading.Event()

    def speak() -> None:
        while not done.wait(0.01):
            bus.send(state(1))

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        driver.open()
    finally:
        done.set()
        speaker.join()
    while driver.read() is not driver.read():  # drain what the speaker left
        pass
    yield driver
    driver.close()


def test_reads_the_newest_state_and_then_the_same_again(bus: Bus, driver: emulated.EmulatedDriver) -> None:
    bus.send(state(2))
    bus.send(state(3))
    newest = driver.read()
    assert newest is not None
    assert newest.seq == 3
    assert newest.joint_pos.tolist() == [3.0] * 12
    assert driver.read() is newest


def test_drops_and_counts_what_is_no_state_of_this_robot(bus: Bus, driver: emulated.EmulatedDriver) -> None:
    before = driver.read()
    for datagram in (b"", b"noise", state(4)[:-1], state(4, joints=11), b"x" * 60_000):
        bus.send(datagram)
    assert driver.read() is before
    assert driver.rejected_frames == 5


def test_writes_commands_with_rising_sequence(bus: Bus, driver: emulated.EmulatedDriver) -> None:
    command = JointCommand(np.arange(12.0), np.full(12, 25.0), np.full(12, 0.5))
    driver.write(command)
    driver.write(command)
    first, second = (emulated_bus.decode_command(bus.socket.recv(10_000)) for _ in range(2))
    assert second.sequence == first.sequence + 1
    assert first.joint_target.tolist() == command.joint_target.tolist()
    assert first.kp.tolist() == command.kp.tolist()


def test_a_second_program_cannot_drive_the_same_robot(driver: emulated.EmulatedDriver, port: int) -> None:
    with pytest.raises(LandbridgeError, match=f"UDP port {port + 1} is in use: another program"):
        emulated.EmulatedDriver(ROBOT, str(port)).open()


def test_a_silent_robot_is_named_with_what_to_do(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated, "_OPEN_TIMEOUT", 0.05)
    driver = emulated.EmulatedDriver(ROBOT, str(port))
    with pytest.raises(LandbridgeError, match=f"landbridge emulate unitree_go2 --port {port}"):
        driver.open()
    driver.close()


def test_a_closed_driver_says_so(port: int) -> None:
    with pytest.raises(LandbridgeError, match="not open"):
        emulated.EmulatedDriver(ROBOT, str(port)).read()


@pytest.mark.parametrize("address", ["x", "80", "65535", "-1", "4٧100", "1e4"])
def test_an_address_that_is_no_port_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="port"):
        drivers.load("emulated", ROBOT, address)


def test_the_registry_names_what_it_knows() -> None:
    assert drivers.names() == ["emulated", "replay", "ros2_control", "unitree_go2"]
    assert isinstance(drivers.load("emulated", ROBOT), emulated.EmulatedDriver)
    with pytest.raises(UsageError, match="unknown driver 'real': known are emulated, replay, ros2_control"):
        drivers.load("real", ROBOT)
