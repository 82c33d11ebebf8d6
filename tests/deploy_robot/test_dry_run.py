"""A dry run never writes the robot: not by its driver, and not on the bus."""

import socket
import threading

import numpy as np
import pytest

from contract import robots
from contract.errors import LandbridgeError
from deploy_robot import drivers
from deploy_robot.driver import Capabilities, Driver, JointCommand, RobotState
from deploy_robot.drivers import emulated_bus
from deploy_robot.drivers.shadow import ShadowDriver
from deploy_robot.drivers.unitree_go2 import UnitreeGo2Driver
from tests import udp_ports

ROBOT = robots.load("unitree_go2")
N = ROBOT.num_joints
COMMAND = JointCommand(np.zeros(N), np.full(N, 30.0), np.ones(N))


class CountingDriver:
    """Counts what reaches it."""

    capabilities = Capabilities(state_rate=500.0, watchdog=0.05, hardware=True)

    def __init__(self) -> None:
        self.calls: list[str] = []

    def open(self) -> None:
        self.calls.append("open")

    def read(self) -> RobotState | None:
        self.calls.append("read")
        return None

    def write(self, command: JointCommand) -> None:
        self.calls.append("write")

    def close(self) -> None:
        self.calls.append("close")

    def __enter__(self) -> "CountingDriver":
        raise AssertionError("a shadow opens by itself")

    def __exit__(self, *error: object) -> None:
        raise AssertionError("a shadow closes by itself")


def test_a_shadow_reads_and_never_writes() -> None:
    inner = CountingDriver()
    shadow = ShadowDriver(inner)
    with shadow:
        for _ in range(5):
            assert shadow.read() is None
            shadow.write(COMMAND)
    assert inner.calls == ["open"] + ["read"] * 5 + ["close"]
    assert shadow.withheld_commands == 5
    assert not shadow.capabilities.hardware
    assert shadow.capabilities.state_rate == 500.0


def test_a_shadow_keeps_no_way_to_write() -> None:
    inner = CountingDriver()
    kept = list(vars(ShadowDriver(inner)).values())
    assert inner not in kept
    assert inner.write not in kept


@pytest.mark.parametrize("name", ["emulated", "unitree_go2"])
def test_every_driver_can_be_shadowed(name: str) -> None:
    address = str(udp_ports.free_pair()) if name == "emulated" else "lo:90"
    assert isinstance(drivers.load(name, ROBOT, address, dry_run=True), ShadowDriver)
    assert not isinstance(drivers.load(name, ROBOT, address), ShadowDriver)


def test_nothing_comes_over_the_bus() -> None:
    port = udp_ports.free_pair()
    state = emulated_bus.LowState(
        1, 0.0, np.zeros(N), np.zeros(N), np.zeros(N), np.array([1.0, 0, 0, 0]), np.zeros(3), np.zeros(3)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot:
        robot.bind((emulated_bus.HOST, port))
        robot.setblocking(False)
        shadow = drivers.load("emulated", ROBOT, str(port), dry_run=True)
        robot.connect((emulated_bus.HOST, port + 1))
        try:
            open_while_sending(shadow, robot, emulated_bus.encode(state))
            for _ in range(10):
                shadow.write(COMMAND)
            with pytest.raises(BlockingIOError):
                robot.recv(1)
        finally:
            shadow.close()


def open_while_sending(driver: Driver, robot: socket.socket, datagram: bytes) -> None:
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.01):
            try:
                robot.send(datagram)
            except ConnectionRefusedError:
                continue  # nobody listens yet

    sender = threading.Thread(target=send)
    sender.start()
    try:
        driver.open()
    finally:
        done.set()
        sender.join()


def test_a_go2_that_is_only_listened_to_refuses_to_be_written() -> None:
    with pytest.raises(LandbridgeError, match="only listens"):
        UnitreeGo2Driver(ROBOT, "lo:90", listen_only=True).write(COMMAND)
