"""The Go2's driver over real DDS on loopback: against a robot by hand, and against one made of Unitree's own SDK."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="Cyclone DDS is not installed")

import contract.robots
from contract.errors import LandbridgeError, UsageError
from deploy_robot import drivers
from deploy_robot.driver import JointCommand
from deploy_robot.drivers import unitree_go2, unitree_go2_messages
from deploy_robot.drivers import unitree_go2_dds as dds
from deploy_robot.drivers.unitree_go2 import UnitreeGo2Driver
from deploy_robot.drivers.unitree_go2_messages import LOW_CMD, Message, decode, encode
from deploy_robot.ros_environment import claimed_domain
from tests import unitree_go2_recorded as recorded
from tests.unitree_sdk import PYTHONS, SdkClient

ROBOT = contract.robots.load("unitree_go2")
# Where the robot's motors have the joints of its description: FL, FR, RL, RR there are FR, FL, RR, RL here.
SLOTS = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
PATIENCE = 60.0  # s
COMMAND = JointCommand(np.arange(12.0), np.arange(12.0) + 20.0, np.arange(12.0) + 40.0)


@pytest.fixture
def domain() -> Iterator[int]:
    with claimed_domain() as number:  # no other test, and no other program, hears this one
        yield number


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unitree_go2, "_OPEN_TIMEOUT", PATIENCE)


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return result


class HandMadeRobot:
    """The robot's end of the bus. It sends `samples` in turn, again and again, until told otherwise."""

    def __init__(self, domain: int, listens: bool = True) -> None:
        network = dds.Network("lo", domain)
        self.writer = network.writer(dds.LOW_STATE)
        self._reader = network.reader(dds.LOW_CMD) if listens else None
        self.samples: list[bytes] = [encode(recorded.state())]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._speak)

    def _speak(self) -> None:
        while not self._done.wait(0.005):
            for sample in tuple(self.samples):
                self.writer.write(sample)

    def __enter__(self) -> "HandMadeRobot":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def commands(self) -> list[Message]:
        assert self._reader is not None
        return [decode(sample, LOW_CMD) for sample in self._reader.take()]


@contextmanager
def opened(domain: int) -> Iterator[tuple[HandMadeRobot, UnitreeGo2Driver]]:
    with HandMadeRobot(domain) as robot, UnitreeGo2Driver(ROBOT, f"lo:{domain}") as driver:
        yield robot, driver


def state(tick: int) -> bytes:
    message = recorded.state()
    message["tick"] = tick
    return encode(message)


def test_reads_a_robots_state_in_the_descriptions_order_and_units(domain: int) -> None:
    with opened(domain) as (_, driver):
        before = time.monotonic()
        read = wait_for(driver.read)
    motors, imu = recorded.state()["motor_state"], recorded.state()["imu_state"]
    assert read.joint_pos.tolist() == motors["q"][SLOTS].tolist()
    assert read.joint_vel.tolist() == motors["dq"][SLOTS].tolist()
    assert read.joint_torque.tolist() == motors["tau_est"][SLOTS].tolist()
    assert read.temperature.tolist() == motors["temperature"][SLOTS].tolist()
    assert read.imu_quat.tolist() == imu["quaternion"].tolist()
    assert read.gyro.tolist() == imu["gyroscope"].tolist()
    assert read.accel.tolist() == imu["accelerometer"].tolist()
    assert read.battery == 0.63
    assert read.seq == 5129489
    assert before - PATIENCE < read.stamp <= time.monotonic()


def test_writes_each_joint_to_its_motor_and_leaves_the_other_slots_limp(domain: int) -> None:
    with opened(domain) as (robot, driver):
        driver.write(COMMAND)
        message = wait_for(robot.commands)[-1]
    assert message["head"].tolist() == [0xFE, 0xEF]
    assert message["level_flag"] == 0xFF
    motors, off = message["motor_cmd"], message["motor_cmd"][12:]
    assert motors["mode"].tolist() == [1] * 20
    assert motors["q"][SLOTS].tolist() == COMMAND.joint_target.tolist()
    assert motors["kp"][SLOTS].tolist() == COMMAND.kp.tolist()
    assert motors["kd"][SLOTS].tolist() == COMMAND.kd.tolist()
    assert not motors["dq"][:12].any() and not motors["tau"].any()
    assert (off["q"] == np.float32(2.146e9)).all() and (off["dq"] == 16000.0).all()
    assert not off["kp"].any() and not off["kd"].any()


def test_drops_and_counts_what_is_no_sound_state(domain: int) -> None:
    with opened(domain) as (robot, driver):
        bad_crc = state(7)[:-1] + bytes([state(7)[-1] ^ 1])
        robot.samples = [bad_crc, state(7) + b"\0\0\0\0", b"\xff" * 1180]
        driver.read()
        time.sleep(0.1)  # what was still on its way
        before, rejected = driver.read(), driver.rejected_frames
        wait_for(lambda: driver.read() is before and driver.rejected_frames >= rejected + 30)
        robot.samples = [state(9)]
        wait_for(lambda: driver.read().seq == 9)  # type: ignore[union-attr]


def test_a_robot_whose_clock_stands_still_has_no_news(domain: int) -> None:
    with opened(domain) as (robot, driver):
        robot.samples = [state(11)]
        frozen = wait_for(lambda: (s := driver.read()) is not None and s.seq == 11 and s)
        time.sleep(0.1)
        assert driver.read() is frozen
        robot.samples = [state(12)]
        newer = wait_for(lambda: (s := driver.read()) is not None and s.seq == 12 and s)
        assert newer.stamp > frozen.stamp


def test_a_robot_that_leaves_has_no_news_until_it_is_back(domain: int) -> None:
    with opened(domain) as (robot, driver):
        robot.__exit__()
        del robot.writer
        wait_for(lambda: not driver._states.writers())
        last = driver.read()
        time.sleep(0.1)
        assert driver.read() is last
        with HandMadeRobot(domain) as back:
            back.samples = [state(77)]
            wait_for(lambda: driver.read().seq == 77)  # type: ignore[union-attr]


def test_refuses_a_robot_that_somebody_else_commands(domain: int) -> None:
    with HandMadeRobot(domain):
        service = dds.Network("lo", domain).writer(dds.LOW_CMD)
        done = threading.Event()

        def command() -> None:
            while not done.wait(0.01):
                service.write(encode(recorded.command()))

        speaker = threading.Thread(target=command)
        speaker.start()
        driver = UnitreeGo2Driver(ROBOT, f"lo:{domain}")
        try:
            with pytest.raises(LandbridgeError, match="somebody else commands it: release its motion service"):
                driver.open()
        finally:
            done.set()
            speaker.join()
        assert driver.foreign_commands > 0
        with pytest.raises(LandbridgeError, match="not open"):
            driver.write(COMMAND)


def test_says_so_when_somebody_else_starts_to_command_the_robot(domain: int) -> None:
    with opened(domain) as (_, driver):
        for _ in range(20):  # its own commands are nobody else's
            driver.write(COMMAND)
            driver.read()
            time.sleep(0.005)
        service = dds.Network("lo", domain).writer(dds.LOW_CMD)
        wait_for(service.is_heard)

        def heard() -> bool:
            service.write(encode(recorded.command()))
            try:
                driver.read()
            except LandbridgeError as error:
                assert "somebody else" in str(error)
                return True
            return False

        wait_for(heard)
        assert driver.foreign_commands > 0


def test_refuses_two_robots_at_once(domain: int) -> None:
    with (
        HandMadeRobot(domain),
        HandMadeRobot(domain),
        pytest.raises(LandbridgeError, match="2 programs or robots send states"),
    ):
        UnitreeGo2Driver(ROBOT, f"lo:{domain}").open()


def test_refuses_a_robot_that_takes_no_commands(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with HandMadeRobot(domain, listens=False):
        driver = UnitreeGo2Driver(ROBOT, f"lo:{domain}")
        monkeypatch.setattr(unitree_go2, "_OPEN_TIMEOUT", 5.0)
        with pytest.raises(LandbridgeError, match="takes no commands on rt/lowcmd"):
            driver.open()


def test_a_silent_robot_is_named_with_what_to_look_at(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unitree_go2, "_OPEN_TIMEOUT", 0.05)
    driver = UnitreeGo2Driver(ROBOT, f"lo:{domain}")
    with pytest.raises(LandbridgeError, match=f"network interface lo, DDS domain {domain}: no state in 0.05 s. Is the"):
        driver.open()
    with pytest.raises(LandbridgeError, match="not open"):
        driver.read()
    driver.close()


def test_a_robot_with_another_crc_is_told_from_a_silent_one(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with HandMadeRobot(domain) as robot:
        robot.samples = [state(7)[:-4] + b"\0\0\0\0"]
        monkeypatch.setattr(unitree_go2, "_OPEN_TIMEOUT", 5.0)
        with pytest.raises(LandbridgeError, match=r"no state in 5 s; \d+ samples were unsound"):
            UnitreeGo2Driver(ROBOT, f"lo:{domain}").open()


def test_can_be_opened_again_after_it_was_closed(domain: int) -> None:
    with HandMadeRobot(domain):
        driver = UnitreeGo2Driver(ROBOT, f"lo:{domain}")
        for _ in range(2):
            with driver:
                wait_for(driver.read)


@pytest.mark.parametrize("python", PYTHONS)
def test_reads_and_commands_a_robot_made_of_unitrees_sdk(domain: int, python: str) -> None:
    with SdkClient(python, "robot", domain) as robot:
        with UnitreeGo2Driver(ROBOT, f"lo:{domain}") as driver:
            first = wait_for(driver.read)
            for _ in range(20):
                driver.write(COMMAND)
                time.sleep(0.01)
            last = driver.read()
        seen = robot.end()
    assert first.joint_pos.tolist() == SLOTS
    assert first.joint_vel.tolist() == [100.0 + slot for slot in SLOTS]
    assert first.joint_torque.tolist() == [200.0 + slot for slot in SLOTS]
    assert first.temperature.tolist() == [30.0 + slot for slot in SLOTS]
    assert first.imu_quat.tolist() == [0.5, 0.5, -0.5, 0.5]
    assert first.gyro.tolist() == [1.0, 2.0, 3.0]
    assert first.accel.tolist() == [4.0, 5.0, 6.0]
    assert first.battery == 0.42
    assert last is not None and last.seq > first.seq
    assert driver.rejected_frames == 0
    assert seen["received"] > 0
    assert seen["sound"] == seen["received"]
    assert (seen["head"], seen["level_flag"]) == ([0xFE, 0xEF], 0xFF)
    for joint, slot in enumerate(SLOTS):
        assert seen["motors"][slot] == [1, joint, 0.0, 0.0, 20.0 + joint, 40.0 + joint]
    for slot in range(12, 20):
        assert seen["motors"][slot] == [1, np.float32(2.146e9), 16000.0, 0.0, 0.0, 0.0]


def test_the_motor_order_is_that_of_the_sdk() -> None:
    assert [unitree_go2_messages.MOTORS[slot] for slot in SLOTS] == list(ROBOT.joint_names)


@pytest.mark.parametrize("address", ["", "nowhere0", "lo:", "lo:x", "lo:1:2", "lo:٧", ":3", "lo:233", "lo:-1", "<lo>"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="address"):
        drivers.load("unitree_go2", ROBOT, address)


def test_another_robot_is_refused() -> None:
    with pytest.raises(UsageError, match="cartpole has other joints than a unitree_go2"):
        drivers.load("unitree_go2", contract.robots.load("cartpole"), "lo")


def test_without_cyclone_dds_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cyclonedds", None)
    monkeypatch.delitem(sys.modules, "deploy_robot.drivers.unitree_go2_dds")
    monkeypatch.delattr(drivers, "unitree_go2_dds")
    with pytest.raises(LandbridgeError, match="needs cyclonedds, which is not installed: pip install"):
        UnitreeGo2Driver(ROBOT, "lo").open()


def test_moves_hardware_and_promises_no_watchdog() -> None:
    capabilities = drivers.load("unitree_go2", ROBOT, "lo").capabilities
    assert capabilities.hardware
    assert capabilities.watchdog is None
