import dataclasses
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contract import robots
from deploy_robot.drivers import emulated_bus
from deploy_robot.drivers.emulated_bus import HOST, LowCommand, LowState
from hil_tests.motor_model import MotorModel
from hil_tests.robot_emulation import EmulationConfig, RobotEmulation
from hil_tests.robot_physics import HiddenParameters
from hil_tests.robot_process import READY
from hil_tests.sensor_model import SensorConfig
from tests.udp_ports import free_pair

ROBOT = robots.load("unitree_go2")
REST, STANDING = np.array(ROBOT.rest_pose), ROBOT.default_joint_pos
PLAIN = EmulationConfig(perturb=False)


class Bench:
    """Runs an emulation in its own time."""

    def __init__(self, config: EmulationConfig = PLAIN, seed: int = 0) -> None:
        self.emulation = RobotEmulation(ROBOT, config, seed)
        self.now = 100.0
        self.sent: list[tuple[float, LowState]] = []

    def run(self, seconds: float, datagram: bytes | None = None) -> None:
        """Give the robot `datagram` every 5 ms."""
        for tick in range(round(seconds / self.emulation.timestep)):
            arrived = [datagram] if datagram is not None and tick % 5 == 0 else []
            for frame in self.emulation.tick(self.now, arrived):
                self.sent.append((self.now, emulated_bus.decode_state(frame)))
            self.now += self.emulation.timestep

    def truth(self) -> dict[str, np.ndarray]:
        return self.emulation.ground_truth()


def command(target: np.ndarray, kp: float = 40.0, kd: float = 1.0) -> bytes:
    return emulated_bus.encode(LowCommand(0, 0.0, target, np.full(12, kp), np.full(12, kd)))


def stand(bench: Bench) -> None:
    for share in np.linspace(0.0, 1.0, 40):
        bench.run(0.025, command(REST + share * (STANDING - REST)))


def test_lies_still_in_its_rest_pose_until_told_otherwise() -> None:
    bench = Bench()
    bench.run(0.2)
    truth = bench.truth()
    assert np.abs(truth["joint_pos"] - REST).max() < 0.2
    assert truth["root_pos"][-1, 2] < 0.5 * ROBOT.standing_height
    assert np.abs(truth["root_lin_vel"]).max() < 0.05
    assert truth["watchdog"].all()


def test_stands_up_under_position_commands_and_its_feet_carry_it() -> None:
    bench = Bench()
    stand(bench)
    bench.run(0.5, command(STANDING, kp=200.0, kd=3.0))  # stiff, so that the legs do not sag
    truth = bench.truth()
    assert truth["root_pos"][-1, 2] == pytest.approx(ROBOT.standing_height, abs=0.01)
    weight = 9.81 * mujoco.MjModel.from_xml_path(str(ROBOT.mjcf)).body_mass.sum()
    assert truth["foot_force"][-50:].sum(axis=1).mean() == pytest.approx(weight, rel=0.03)
    _, last = bench.sent[-1]
    assert last.accel[2] == pytest.approx(9.81, abs=0.6)


def test_damps_when_no_command_comes_for_longer_than_the_watchdog() -> None:
    bench = Bench()
    stand(bench)
    assert not bench.truth()["watchdog"][-1]
    assert bench.emulation.watchdog_trips == 0
    bench.run(PLAIN.watchdog - 0.01)
    assert not bench.truth()["watchdog"][-1]
    bench.run(0.03)
    truth = bench.truth()
    assert truth["watchdog"][-1]
    assert (truth["kp"][-1] == 0.0).all()
    assert (truth["kd"][-1] == PLAIN.damping).all()
    bench.run(1.0)
    assert bench.truth()["root_pos"][-1, 2] < 0.6 * ROBOT.standing_height
    assert bench.emulation.watchdog_trips == 1


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xff" * 600,
        command(STANDING)[:-1],
        command(np.full(12, np.nan)),
        command(STANDING, kp=np.inf),
        emulated_bus.encode(LowCommand(0, 0.0, np.zeros(11), np.zeros(11), np.zeros(11))),
    ],
)
def test_what_no_motor_can_carry_out_is_counted_and_does_not_feed_the_watchdog(datagram: bytes) -> None:
    bench = Bench()
    bench.run(0.1, datagram)
    assert bench.emulation.rejected_frames == 20
    assert bench.truth()["watchdog"].all()


def test_states_leave_in_order_within_the_sensor_delay_at_their_rate() -> None:
    bench = Bench(EmulationConfig(perturb=False, sensors=SensorConfig(min_delay=0.002, max_delay=0.009)))
    bench.run(0.5)
    delays = np.array([sent - state.stamp for sent, state in bench.sent])
    step = bench.emulation.timestep
    assert delays.min() >= 0.002 - 1e-9
    assert delays.max() <= 0.009 + 2 * step
    assert delays.max() - delays.min() > 0.004
    assert [state.sequence for _, state in bench.sent] == list(range(len(bench.sent)))
    assert np.diff([state.stamp for _, state in bench.sent]) == pytest.approx(0.002)


def test_sensors_without_errors_tell_the_truth() -> None:
    fields = [field.name for field in dataclasses.fields(SensorConfig)]
    config = EmulationConfig(perturb=False, log_rate=500, sensors=SensorConfig(**dict.fromkeys(fields, 0.0)))
    bench = Bench(config)
    bench.run(0.2, command(STANDING, kp=60.0))
    truth, states = bench.truth(), [state for _, state in bench.sent]
    assert [state.stamp for state in states] == pytest.approx(truth["time"].tolist())
    for state, row in zip(states, range(len(states)), strict=True):
        assert state.joint_pos == pytest.approx(truth["joint_pos"][row], abs=1e-6)
        assert state.joint_vel == pytest.approx(truth["joint_vel"][row], rel=1e-5, abs=1e-5)
        assert state.joint_torque == pytest.approx(truth["joint_torque"][row], rel=1e-5, abs=1e-5)
        assert state.imu_quat == pytest.approx(truth["root_quat"][row], abs=1e-6)
        assert state.gyro == pytest.approx(truth["root_ang_vel"][row], rel=1e-5, abs=1e-5)


def test_sensor_noise_has_the_stated_size() -> None:
    bench = Bench(EmulationConfig(perturb=False, log_rate=500))
    bench.run(1.0)
    truth, states = bench.truth(), [state for _, state in bench.sent]
    measured = np.array([state.joint_pos for state in states])
    error = measured - truth["joint_pos"][: len(states)]
    assert error.std(axis=0) == pytest.approx(SensorConfig.joint_pos_noise, rel=0.25)
    assert 0.0 < np.abs(error.mean(axis=0)).max() < 5 * SensorConfig.joint_pos_bias


def test_the_seed_decides_everything() -> None:
    def states(seed: int) -> list[float]:
        bench = Bench(EmulationConfig(), seed)
        bench.run(0.1, command(STANDING))
        return bench.sent[-1][1].joint_pos.tolist()

    assert states(3) == states(3)
    assert states(3) != states(4)
    hidden = RobotEmulation(ROBOT, EmulationConfig(), 3).hidden
    assert hidden != RobotEmulation(ROBOT, EmulationConfig(), 4).hidden
    assert RobotEmulation(ROBOT, PLAIN, 3).hidden == HiddenParameters()


@given(
    arrays(np.float64, 12, elements=st.floats(-1e3, 1e3)),
    arrays(np.float64, 12, elements=st.floats(0.0, 1e4)),
    arrays(np.float64, 12, elements=st.floats(-100.0, 100.0)),
)
def test_motors_stay_within_torque_and_speed(target: np.ndarray, kp: np.ndarray, vel: np.ndarray) -> None:
    motors = MotorModel.of(ROBOT, np.ones(12))
    torque = motors.commanded(target, kp, np.full(12, 0.5), np.zeros(12), vel)
    assert (np.abs(torque) <= ROBOT.joint_effort_limit).all()
    too_fast = np.abs(vel) >= ROBOT.joint_velocity_limit
    assert (torque[too_fast] * vel[too_fast] <= 0.0).all()


def test_a_motor_gives_full_torque_at_rest_and_when_braking_and_less_at_speed() -> None:
    motors = MotorModel.of(ROBOT, np.full(12, 0.9))

    def pull(speed_share: float) -> np.ndarray:
        vel = speed_share * ROBOT.joint_velocity_limit
        return motors.commanded(np.full(12, 1e6), np.ones(12), np.zeros(12), np.zeros(12), vel)

    limit = ROBOT.joint_effort_limit
    assert pull(0.0) == pytest.approx(limit)
    assert pull(0.5) == pytest.approx(limit)
    assert pull(-1.0) == pytest.approx(limit)
    assert pull(0.75) == pytest.approx(0.5 * limit)
    assert pull(1.0) == pytest.approx(0.0)
    assert motors.delivered(pull(0.0)) == pytest.approx(0.9 * limit)


class Process:
    """`python -m hil_tests.emulated_robot`."""

    def __init__(self, *arguments: str) -> None:
        argv = [sys.executable, "-m", "hil_tests.emulated_robot", *arguments]
        self.popen = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def await_ready(self) -> None:
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline().startswith(READY)

    def end(self, number: int | None = None) -> tuple[int, str]:
        if number is not None:
            self.popen.send_signal(number)
        _, errors = self.popen.communicate(timeout=120)
        return self.popen.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_process_sends_states_and_leaves_its_log_when_stopped(tmp_path: Path, number: int) -> None:
    port, log = free_pair(), tmp_path / "truth.npz"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind((HOST, port + 1))
        host.settimeout(120)
        process = Process("--port", str(port), "--seed", "5", "--log", str(log))
        process.await_ready()
        first, second = (emulated_bus.decode_state(host.recv(4096)) for _ in range(2))
        assert second.sequence == first.sequence + 1
        assert process.end(number) == (0, "")
    with np.load(log) as truth:
        report = json.loads(str(truth["report"]))
        assert truth["root_quat"].shape == (len(truth["time"]), 4)
        assert truth["foot_force"].shape == (len(truth["time"]), 4)
        assert (np.diff(truth["time"]) > 0.0).all()
    assert report["seed"] == 5
    assert 0.0 < report["timing"]["real_time_factor"] <= 1.01  # waits for its deadlines, so never ahead of time
    assert [path.name for path in tmp_path.iterdir()] == ["truth.npz"]


def test_a_port_in_use_is_one_sentence() -> None:
    port = free_pair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, port))
        code, errors = Process("--port", str(port)).end()
    assert code == 1
    assert errors.startswith(f"error: UDP port {port} is in use")
    assert len(errors.splitlines()) == 1


def test_an_unknown_robot_and_a_bad_port_are_one_sentence() -> None:
    code, errors = Process("--robot", "unitree_go3").end()
    assert code == 2
    assert "unknown robot 'unitree_go3'" in errors
    code, errors = Process("--port", "70000").end()
    assert code == 2
    assert "port 70000" in errors
