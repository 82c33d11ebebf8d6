"""Sensors against signals and statistics that are known."""

import dataclasses
import math

import pytest
import torch
from go2_states import JOINTS, ROBOT

from contract.robot import ImuMount
from policies.controller import Controller, ControllerConfig
from sim.engines.engine import Trace
from sim.rotations import quat_rotate
from sim.sensors import MAX_SENSOR_DELAY, SensorModel
from sim.tasks import load

DT, DECIMATION = 0.005, 4
UPRIGHT = torch.tensor([1.0, 0.0, 0.0, 0.0])


def _model(num_envs, robot=ROBOT, seed=0):
    return SensorModel(robot, num_envs, DT, DECIMATION, torch.Generator().manual_seed(seed))


def _trace(num_envs, quat=UPRIGHT, gyro=0.0, pos=0.0, vel=0.0):
    """Each argument broadcasts to (num_envs, DECIMATION, size)."""

    def full(value, size):
        return torch.as_tensor(value, dtype=torch.float32).expand(num_envs, DECIMATION, size).clone()

    return Trace(full(quat, 4), full(gyro, 3), full(pos, JOINTS), full(vel, JOINTS))


def _clock(num_envs, period):
    """Joint positions that count physics steps, from 1 at the first of period 0."""
    steps = DECIMATION * period + 1.0 + torch.arange(DECIMATION)
    return _trace(num_envs, pos=steps[:, None])


def test_ideal_sensors_report_the_newest_true_sample():
    sensors = _model(2)
    sensors.reset(torch.arange(2), _trace(2))
    quat = torch.tensor([0.5, 0.5, -0.5, 0.5])
    sensors.record(_trace(2, quat=quat, gyro=[1.0, 2.0, 3.0], pos=0.7, vel=-0.4))
    signals = sensors.read()
    assert torch.allclose(signals["imu_quat"], quat.expand(2, 4))
    assert torch.equal(signals["gyro"], torch.tensor([1.0, 2.0, 3.0]).expand(2, 3))
    assert torch.equal(signals["joint_pos"], torch.full((2, JOINTS), 0.7))
    assert torch.equal(signals["joint_vel"], torch.full((2, JOINTS), -0.4))


def test_delays_are_whole_physics_steps_each_environment_its_own():
    longest = round(MAX_SENSOR_DELAY / DT)
    steps = torch.arange(longest + 1)
    sensors = _model(len(steps))
    sensors.values["sensor_delay"][:, 0] = steps * DT
    sensors.reset(torch.arange(len(steps)), _trace(len(steps)))
    for period in range(4):
        sensors.record(_clock(len(steps), period))
        now = DECIMATION * (period + 1)
        expected = (now - steps).clamp(min=0)  # before the first sample, that of the reset
        assert torch.equal(sensors.read()["joint_pos"][:, 0], expected.float())


def test_a_delay_is_rounded_to_the_nearest_physics_step():
    sensors = _model(3)
    sensors.values["sensor_delay"][:, 0] = torch.tensor([0.002, 0.003, 0.0124])
    for period in range(3):
        sensors.record(_clock(3, period))
    assert sensors.read()["joint_pos"][:, 0].tolist() == [12.0, 11.0, 10.0]


def test_reset_fills_the_buffer_of_some_with_their_present_sample():
    sensors = _model(2)
    sensors.values["sensor_delay"][:, 0] = 0.02
    for period in range(3):
        sensors.record(_clock(2, period))
    sensors.reset(torch.tensor([1]), _trace(2, pos=99.0))
    assert sensors.read()["joint_pos"][:, 0].tolist() == [8.0, 99.0]


def test_noise_has_the_deviation_that_it_says_and_no_mean():
    n = 4000
    sensors = _model(n)
    deviations = {"joint_pos_noise": 0.01, "joint_vel_noise": 0.5, "gyro_noise": 0.1, "imu_quat_noise": 0.02}
    for name, value in deviations.items():
        sensors.values[name][:] = value
    quat = torch.tensor([0.5, 0.5, -0.5, 0.5])
    sensors.reset(torch.arange(n), _trace(n, quat=quat, gyro=1.0, pos=2.0, vel=3.0))
    signals = sensors.read()
    # 4000 samples: the standard error of a deviation is 1.1 %, of a mean 1.6 % of the deviation.
    for signal, true, name in (
        ("gyro", 1.0, "gyro_noise"),
        ("joint_pos", 2.0, "joint_pos_noise"),
        ("joint_vel", 3.0, "joint_vel_noise"),
    ):
        error = signals[signal] - true
        assert torch.allclose(error.std(dim=0), torch.tensor(deviations[name]), rtol=0.06)
        assert (error.mean(dim=0).abs() < 0.08 * deviations[name]).all()
    assert torch.allclose(signals["imu_quat"].norm(dim=1), torch.ones(n), atol=1e-6)
    dot = (signals["imu_quat"] * quat).sum(dim=1).clamp(max=1.0)
    angle = 2 * dot.double().acos()
    assert angle.square().mean().sqrt().item() == pytest.approx(math.sqrt(3) * 0.02, rel=0.05)
    correlation = torch.corrcoef(torch.cat([signals["gyro"], signals["joint_pos"], signals["joint_vel"]], dim=1).T)
    assert (correlation - torch.eye(len(correlation))).abs().max() < 0.1

    again = sensors.read()
    assert all(not torch.equal(again[name], signals[name]) for name in signals)


def test_bias_and_offset_are_added_in_each_environment():
    sensors = _model(2)
    offset = torch.linspace(-0.02, 0.02, JOINTS)
    sensors.values["encoder_offset"][1] = offset
    sensors.values["gyro_bias"][1] = torch.tensor([0.01, -0.02, 0.03])
    sensors.reset(torch.arange(2), _trace(2, gyro=1.0, pos=0.5))
    signals = sensors.read()
    assert torch.equal(signals["joint_pos"][0], torch.full((JOINTS,), 0.5))
    assert torch.equal(signals["joint_pos"][1], 0.5 + offset)
    assert torch.equal(signals["gyro"][0], torch.ones(3))
    assert torch.allclose(signals["gyro"][1], torch.tensor([1.01, 0.98, 1.03]))


def _rotated(quat):
    return dataclasses.replace(ROBOT, imu=ImuMount("imu", "base", (0.0, 0.0, 0.0), quat))


@pytest.mark.parametrize(
    "mount", [(0.5, 0.5, 0.5, 0.5), (math.cos(0.4), 0.0, math.sin(0.4), 0.0), (0.0, 1.0, 0.0, 0.0)]
)
def test_the_controller_undoes_the_imu_mount(mount):
    generator = torch.Generator().manual_seed(0)
    quat = torch.randn(5, 1, 4, generator=generator)
    quat = quat / quat.norm(dim=-1, keepdim=True)
    gyro = torch.randn(5, 1, 3, generator=generator)
    trace = _trace(5, quat=quat, gyro=gyro, pos=0.1, vel=0.2)
    task, features, raw = load("go2-velocity-flat"), [], []
    for robot in (ROBOT, _rotated(mount)):
        sensors = _model(5, robot)
        sensors.reset(torch.arange(5), trace)
        signals = {**sensors.read(), task.command.name: torch.zeros(5, 3)}
        controller = Controller(robot, task.signals, task.command.lower, task.command.upper, ControllerConfig())
        features.append(controller.observe(signals, controller.initial_memory(5))[0])
        raw.append(signals)
    assert torch.allclose(features[0], features[1], atol=1e-5)
    assert not torch.allclose(raw[0]["gyro"], raw[1]["gyro"], atol=0.1)
    # The rotated IMU says in its own frame what the other says in the base frame.
    assert torch.allclose(quat_rotate(torch.tensor(mount).expand(5, 4), raw[1]["gyro"]), raw[0]["gyro"], atol=1e-5)


def test_a_loaded_sensor_goes_on_as_the_saved_one():
    one, other = _model(2, seed=1), _model(2, seed=1)
    one.values["sensor_delay"][:] = 0.01
    for period in range(3):
        one.record(_clock(2, period))
    other.load_state_dict(one.state_dict())
    one.record(_clock(2, 3))
    other.record(_clock(2, 3))
    a, b = one.read(), other.read()
    assert all(torch.equal(a[name], b[name]) for name in a)
