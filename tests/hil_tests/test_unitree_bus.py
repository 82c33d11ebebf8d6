"""The emulated Go2 on Unitree's bus: what it makes of a command, and Unitree's own SDK as the controller of one."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cyclonedds", reason="Cyclone DDS is not installed")

import contract.robots
import deploy_robot.drivers
from contract.errors import UsageError
from contract.rotations import euler_from_quat
from deploy_robot.drivers import unitree_go2_messages as messages
from deploy_robot.drivers.emulated_bus import FrameError, LowState
from deploy_robot.drivers.unitree_go2_messages import LOW_STATE, Message, decode, encode
from deploy_robot.ros_environment import claimed_domain
from hil_tests.robot_emulation import EmulationConfig, RobotEmulation
from hil_tests.robot_process import READY
from hil_tests.unitree_bus import UnitreeCodec
from landbridge.cli import main
from tests.unitree_sdk import PYTHONS, SdkClient

ROBOT = contract.robots.load("unitree_go2")
SLOTS = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]  # motor of each joint of the description
STANDING = ROBOT.default_joint_pos


def command(**fields: Any) -> Message:
    """A command whose leg motors have these values, joints in the description's order."""
    message = messages.low_cmd()
    for field, values in fields.items():
        message["motor_cmd"][field][SLOTS] = values
    return message


def test_a_command_is_read_joint_by_joint() -> None:
    sent = np.arange(12.0)
    read = UnitreeCodec(ROBOT).decode(encode(command(q=sent, dq=sent + 20, tau=sent + 40, kp=sent + 60, kd=sent + 80)))
    assert read.target.tolist() == sent.tolist()
    assert np.asarray(read.vel).tolist() == (sent + 20).tolist()
    assert np.asarray(read.torque).tolist() == (sent + 40).tolist()
    assert read.kp.tolist() == (sent + 60).tolist()
    assert read.kd.tolist() == (sent + 80).tolist()


def test_stop_values_and_a_motor_that_is_off_take_a_term_out() -> None:
    codec = UnitreeCodec(ROBOT)
    gains: dict[str, Any] = {"kp": 30.0, "kd": 2.0, "tau": 1.0}
    limp = codec.decode(encode(command(**gains)))  # a fresh command has the stop values
    assert not limp.kp.any() and not limp.kd.any()
    assert (limp.torque == 1.0).all()
    off = codec.decode(encode(command(q=0.0, dq=0.0, mode=0, **gains)))
    assert not off.kp.any() and not off.kd.any() and not np.any(off.torque)


@pytest.mark.parametrize(("field", "value"), [("head", (0, 0)), ("level_flag", 0)])
def test_a_sound_sample_that_is_no_motor_command_is_refused(field: str, value: Any) -> None:
    message = messages.low_cmd()
    message[field] = value
    with pytest.raises(FrameError, match="head or level_flag"):
        UnitreeCodec(ROBOT).decode(encode(message))


def test_a_measured_state_is_told_motor_by_motor() -> None:
    joints, quat = np.arange(12.0), np.array([0.9, 0.1, -0.2, 0.3]) / np.linalg.norm([0.9, 0.1, -0.2, 0.3])
    state = LowState(3, 12.345, joints, joints + 20, joints + 40, quat, np.arange(3.0), np.arange(3.0) + 5)
    message = decode(UnitreeCodec(ROBOT).encode(state), LOW_STATE)
    motors, imu = message["motor_state"], message["imu_state"]
    assert motors["q"][SLOTS].tolist() == joints.tolist()
    assert motors["dq"][SLOTS].tolist() == (joints + 20).tolist()
    assert motors["tau_est"][SLOTS].tolist() == (joints + 40).tolist()
    assert motors["mode"].tolist() == [1] * 12 + [0] * 8
    assert imu["quaternion"] == pytest.approx(quat)
    assert imu["rpy"] == pytest.approx(euler_from_quat(quat), abs=1e-6)
    assert imu["gyroscope"].tolist() == [0.0, 1.0, 2.0]
    assert imu["accelerometer"].tolist() == [5.0, 6.0, 7.0]
    assert message["tick"] == 12345
    assert message["head"].tolist() == [0xFE, 0xEF]


class Bench:
    """An emulated Go2 on Unitree's bus in its own time."""

    def __init__(self) -> None:
        self.emulation = RobotEmulation(ROBOT, EmulationConfig(perturb=False), 0, UnitreeCodec(ROBOT))
        self.now = 100.0

    def run(self, seconds: float, message: Message | None = None) -> list[Message]:
        """Give it `message` every 5 ms; the states that it sends."""
        sent = []
        for tick in range(round(seconds * 1000)):
            arrived = [encode(message)] if message is not None and tick % 5 == 0 else []
            sent += self.emulation.tick(self.now, arrived)
            self.now += 0.001
        return [decode(sample, LOW_STATE) for sample in sent]


def test_states_count_up_in_milliseconds_at_500_hz() -> None:
    ticks = [int(state["tick"]) for state in Bench().run(0.2)]
    assert set(np.diff(ticks)) == {2}


def test_torques_and_speeds_in_a_command_act() -> None:
    bench = Bench()
    pushed = bench.run(0.05, command(q=0.0, dq=0.0, tau=3.0))[-1]
    assert pushed["motor_state"]["tau_est"][:12] == pytest.approx(3.0, abs=1.0)
    turned = bench.run(0.1, command(q=0.0, dq=4.0, kd=5.0))
    assert turned[-1]["motor_state"]["dq"][[2, 5, 8, 11]].mean() > 1.0  # calves, which are free to extend


def test_without_commands_it_damps_itself() -> None:
    bench = Bench()
    bench.run(0.1, command(q=STANDING, dq=0.0, kp=40.0, kd=1.0))
    assert bench.emulation.watchdog_trips == 0
    bench.run(0.1)
    assert bench.emulation.watchdog_trips == 1
    bench.run(0.05, command(q=np.nan, dq=0.0, kp=40.0, kd=1.0))
    assert bench.emulation.rejected_frames == 10
    assert bench.emulation.ground_truth()["watchdog"][-1] == 1.0


@contextmanager
def emulated(address: str, log: Path) -> Iterator[None]:
    argv = ["hil_tests.emulated_robot", "--protocol", "unitree", "--address", address, "--log", str(log)]
    with subprocess.Popen([sys.executable, "-m", *argv], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(READY)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


@pytest.mark.real_time  # needs the processor to keep real time
@pytest.mark.parametrize("python", PYTHONS)
def test_unitrees_sdk_reads_it_and_makes_it_stand_up(tmp_path: Path, python: str) -> None:
    log = tmp_path / "truth.npz"
    targets = np.empty(12)
    targets[SLOTS] = STANDING
    with (
        claimed_domain() as domain,
        emulated(f"lo:{domain}", log),
        SdkClient(python, "drive", domain, targets.tolist()) as controller,
    ):
        seen = controller.end()
    assert len(seen["ticks"]) > 20
    assert seen["sound"] == len(seen["ticks"])
    assert (np.diff(seen["ticks"]) >= 0).all()
    assert np.abs(np.array(seen["start"])[SLOTS] - ROBOT.rest_pose).max() < 0.25
    assert np.abs(np.array(seen["end"])[SLOTS] - STANDING).max() < 0.2
    assert seen["modes"] == [1] * 12 + [0] * 8
    assert np.abs(seen["rpy"][:2]).max() < 0.1
    assert seen["accelerometer"][2] == pytest.approx(9.81, abs=1.0)
    with np.load(log) as truth:
        stood = truth["root_pos"][truth["watchdog"] == 0.0, 2][-20:]
        assert stood == pytest.approx(ROBOT.standing_height, abs=0.06)
        assert json.loads(str(truth["report"]))["rejected_frames"] == 0


def test_a_robot_that_is_no_go2_and_a_bad_address_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="cartpole has other joints than a unitree_go2"):
        UnitreeCodec(contract.robots.load("cartpole"))
    assert main(["emulate", "unitree_go2", "--protocol", "unitree", "--address", "nowhere0"]) == 2
    assert "address 'nowhere0': must be the network interface" in capsys.readouterr().err


def test_without_cyclone_dds_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cyclonedds", None)
    monkeypatch.delitem(sys.modules, "deploy_robot.drivers.unitree_go2_dds")
    monkeypatch.delattr(deploy_robot.drivers, "unitree_go2_dds")
    monkeypatch.delitem(sys.modules, "hil_tests.unitree_bus")
    assert main(["emulate", "unitree_go2", "--protocol", "unitree"]) == 1
    assert "protocol unitree needs cyclonedds, which is not installed: pip install" in capsys.readouterr().err
