"""Sensors against signals and statistics that are known."""

import dataclasses
import itertools
import math

import pytest
import torch
from go2_states import JOINTS, ROBOT

from contract.errors import UsageError
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


# -- what is on only where it was set -----------------------------------------------------------------------------


def _set(sensors, **values):
    n = len(sensors.values["sensor_delay"])
    given = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in values.items()}
    everyone = torch.arange(n)
    sensors.set(everyone, {k: v.expand(n, sensors.parameters[k].size).clone() for k, v in given.items()})
    return sensors


def test_what_was_not_set_costs_no_random_numbers():
    """So that a seed keeps its noise whatever else could be randomised."""
    one, other = _model(2), _set(_model(2), encoder_offset=0.1, gyro_bias=0.1, sensor_delay=0.01)
    for sensors in (one, other):
        sensors.read()
    assert torch.equal(one._generator.get_state(), other._generator.get_state())


def test_jitter_makes_samples_late_evenly_over_its_range():
    n = 4000
    sensors = _set(_model(n), sensor_delay=0.01, sensor_jitter=0.02)
    for period in range(4):
        sensors.record(_clock(n, period))
    late = 16.0 - sensors.read()["joint_pos"][:, 0]
    found = torch.stack([(late == steps).double().mean() for steps in range(8)])
    # 10 to 30 ms, rounded to 5 ms: half a share at either end.
    expected = torch.tensor([0.0, 0.0, 0.125, 0.25, 0.25, 0.25, 0.125, 0.0])
    assert (found - expected).abs().max() < 4 * math.sqrt(0.25 * 0.75 / n)
    again = 16.0 - sensors.read()["joint_pos"][:, 0]
    assert abs(torch.corrcoef(torch.stack([late, again]))[0, 1]) < 4 / math.sqrt(n)


def test_a_turned_mount_turns_orientation_and_angular_velocity():
    vector = torch.tensor([0.0, 0.0, math.pi / 2])  # the sensor's x is the base's y
    sensors = _set(_model(1), imu_mount_rotation=vector)
    sensors.reset(torch.arange(1), _trace(1, gyro=[1.0, 2.0, 3.0]))
    signals = sensors.read()
    assert torch.allclose(signals["gyro"], torch.tensor([[2.0, -1.0, 3.0]]), atol=1e-6)
    half = math.sqrt(0.5)
    assert torch.allclose(signals["imu_quat"], torch.tensor([[half, 0.0, 0.0, half]]), atol=1e-6)


def test_a_random_walk_grows_with_the_root_of_time_and_begins_anew_with_an_episode():
    n, periods = 3000, 50
    sensors = _set(_model(n), gyro_walk=0.02, imu_heading_walk=0.05)
    sensors.reset(torch.arange(n), _trace(n))
    readings = [sensors.read() for _ in range(periods)]
    for count in (1, 10, periods):
        seconds = count * DT * DECIMATION
        walked, quat = readings[count - 1]["gyro"], readings[count - 1]["imu_quat"]
        heading = 2.0 * torch.atan2(quat[:, 3], quat[:, 0])
        # The standard error of a deviation is 1.3 % of it.
        assert torch.allclose(walked.std(dim=0), torch.tensor(0.02 * math.sqrt(seconds)), rtol=0.06)
        assert heading.std().item() == pytest.approx(0.05 * math.sqrt(seconds), rel=0.06)
        assert torch.allclose(quat[:, 1:3], torch.zeros(n, 2), atol=1e-6)
    sensors.reset(torch.arange(n // 2), _trace(n))
    walked = sensors.read()["gyro"].std(dim=1)
    assert walked[: n // 2].mean() < 0.3 * walked[n // 2 :].mean()


def test_readings_come_in_steps_where_there_are_any():
    sensors = _set(
        _model(2),
        joint_pos_resolution=torch.tensor([[0.25], [0.0]]),
        joint_vel_resolution=torch.tensor([[0.5], [0.0]]),
        gyro_resolution=torch.tensor([[0.1], [0.0]]),
    )
    sensors.reset(torch.arange(2), _trace(2, gyro=[0.26, -0.24, 0.04], pos=0.4, vel=-1.3))
    signals = sensors.read()
    assert torch.equal(signals["joint_pos"][:, 0], torch.tensor([0.5, 0.4]))
    assert torch.equal(signals["joint_vel"][:, 0], torch.tensor([-1.5, -1.3]))
    assert torch.allclose(signals["gyro"][0], torch.tensor([0.3, -0.2, 0.0]))
    assert torch.equal(signals["gyro"][1], torch.tensor([0.26, -0.24, 0.04]))


def test_a_lost_sample_leaves_the_last_reading_with_its_noise():
    n = 400
    sensors = _set(_model(n), sensor_drop=0.25, joint_pos_noise=0.01)
    sensors.reset(torch.arange(n), _trace(n))
    readings = []
    for period in range(20):
        sensors.record(_clock(n, period))
        readings.append(sensors.read()["joint_pos"])
    # The first reading of an episode comes whatever happens.
    assert torch.allclose(readings[0], torch.full((n, JOINTS), 4.0), atol=0.1)
    lost = torch.stack([(a == b).all(dim=1) for a, b in itertools.pairwise(readings)])
    fresh = torch.stack([(r - 4.0 * (i + 2)).abs().max(dim=1).values < 0.1 for i, r in enumerate(readings[1:])])
    assert torch.equal(lost, ~fresh)
    assert lost.double().mean().item() == pytest.approx(0.25, abs=4 * (0.1875 / lost.numel()) ** 0.5)


def test_encoders_sit_on_the_motors():
    sensors = _model(1)
    sensors.record(_trace(1, pos=0.5), torch.full((1, JOINTS), 0.01))
    assert torch.allclose(sensors.read()["joint_pos"], torch.full((1, JOINTS), 0.51))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sensor_delay": 0.03, "sensor_jitter": 0.02}, "sensor_delay and sensor_jitter together must lie between 0"),
        ({"sensor_drop": -0.1}, "sensor_drop must lie between 0 and 1"),
        ({"sensor_hold": -0.1}, "sensor_hold must lie between 0 and inf"),
        ({"gyro_walk": -0.1}, "gyro_walk must lie between 0 and inf"),
        ({"gyro_resolution": float("nan")}, "gyro_resolution must lie between 0 and inf"),
    ],
)
def test_what_cannot_be_played_is_refused(values, message):
    with pytest.raises(UsageError, match=message):
        _set(_model(1), **values)


ALL_ON = {
    "sensor_delay": 0.01,
    "sensor_jitter": 0.01,
    "sensor_drop": 0.3,
    "sensor_hold": 0.05,
    "imu_mount_rotation": 0.01,
    "gyro_walk": 0.1,
    "imu_heading_walk": 0.1,
    "gyro_resolution": 0.01,
}


@pytest.mark.parametrize("values", [{"sensor_delay": 0.01}, ALL_ON], ids=["delay", "everything"])
def test_a_loaded_sensor_goes_on_as_the_saved_one(values):
    one, other = _set(_model(20, seed=1), **values), _model(20, seed=2)
    for period in range(3):
        one.record(_clock(20, period))
        one.read()
    other.load_state_dict(one.state_dict())
    other._generator.set_state(one._generator.get_state())
    for period in range(3, 6):
        one.record(_clock(20, period))
        other.record(_clock(20, period))
        a, b = one.read(), other.read()
        assert all(torch.equal(a[name], b[name]) for name in a)
