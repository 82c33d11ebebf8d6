"""Injected faults are what they say, and the benchmark of the envelope monitor counts and writes what it saw."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import envelope
from benchmarks.envelope import BEGIN, END, EnvelopeBenchmark
from benchmarks.shifts import QUADRUPED, Shift
from deploy_robot import monitors
from sim import tasks
from sim.env import VecEnv

BY_NAME = {shift.name: shift for shift in QUADRUPED}


@pytest.fixture
def env() -> Iterator[VecEnv]:
    made = VecEnv(tasks.load("go2-velocity-flat"), 3, threads=0)
    yield made
    made.close()


def reported(env: VecEnv, name: str) -> dict[str, torch.Tensor]:
    before = {signal: values.clone() for signal, values in env.signals.items()}
    shift = BY_NAME[name]
    shift.begin(env)
    env.step(env.default_joint_pos.repeat(3, 1))
    return shift.report(env, env.signals, before)


def test_an_offset_encoder_reads_wrong_and_the_robot_follows_it(env: VecEnv) -> None:
    signals = reported(env, "encoder of one joint off by 0.3 rad")
    offset = signals["joint_pos"] - env.state.joint_pos
    assert offset[:, 1] == pytest.approx(torch.full((3,), 0.3), abs=1e-5)
    assert offset[:, [0, *range(2, 12)]].abs().max() < 1e-5


def test_reordered_joints_hold_the_same_numbers(env: VecEnv) -> None:
    for name in ("joints in another order (by kind, not by leg)", "left and right legs exchanged"):
        signals = reported(env, name)
        assert torch.equal(signals["joint_pos"].sort(dim=1).values, env.signals["joint_pos"].sort(dim=1).values)
        assert not torch.equal(signals["joint_pos"], env.signals["joint_pos"])
    by_kind = reported(env, "joints in another order (by kind, not by leg)")["joint_pos"]
    assert torch.equal(by_kind[:, :4], env.signals["joint_pos"][:, [0, 3, 6, 9]]), "hips first"


def test_a_turned_imu_reads_another_tilt(env: VecEnv) -> None:
    up = torch.tensor([0.0, 0.0, 1.0])
    signals = reported(env, "IMU turned by 10 degrees (pitch)")
    true, turned = monitors.tilt(env.signals["imu_quat"], up), monitors.tilt(signals["imu_quat"], up)
    assert (turned - true).abs().max() <= math.radians(10.0) + 1e-4
    assert turned.min() > math.radians(10.0) - true.max() - 1e-4
    assert signals["gyro"].norm(dim=1) == pytest.approx(env.signals["gyro"].norm(dim=1), abs=1e-5)


def test_signals_are_scaled_stuck_and_turned_round(env: VecEnv) -> None:
    assert torch.equal(reported(env, "gyro with the wrong sign")["gyro"], -env.signals["gyro"])
    assert torch.equal(reported(env, "joint velocities twice as large")["joint_vel"], 2.0 * env.signals["joint_vel"])
    before = env.signals["joint_pos"].clone()
    stuck = reported(env, "encoder of one joint stuck")["joint_pos"]
    assert torch.equal(stuck[:, 1], before[:, 1])
    assert torch.equal(stuck[:, 2:], env.signals["joint_pos"][:, 2:])


def test_noise_and_payload_change_in_the_environment(env: VecEnv) -> None:
    env.sensors.values["gyro_noise"][:] = 0.1
    reported(env, "sensor noise doubled")
    assert env.sensors.values["gyro_noise"] == pytest.approx(torch.full((3, 1), 0.2))
    height = env.state.root_pos[:, 2].clone()
    shift = BY_NAME["payload 5 kg heavier"]
    shift.begin(env)
    for _ in range(50):
        env.step(env.default_joint_pos.repeat(3, 1))
    assert (env.state.root_pos[:, 2] < height - 0.005).all()


def test_the_benchmark_counts_and_writes_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks.load("go2-velocity-flat").with_episode(1.5)
    short = replace(task, check=replace(task.check, settle=0.5))
    monkeypatch.setattr(tasks, "load", lambda _: short)
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}an old table\n{END}\nafter\n")
    blind = Shift("gyro without sense", report=lambda env, signals, _: signals | {"gyro": signals["gyro"] * torch.nan})
    shifts = (blind, BY_NAME["sensor noise doubled"])
    rows = list(
        EnvelopeBenchmark(
            rate=3000.0, robots=3, before=0.4, after=0.6, rounds=1, calibration_robots=8, shifts=shifts, page=page
        ).run()
    )
    assert [row.what for row in rows] == ["no fault: false alarms an hour", *(shift.name for shift in shifts)]
    assert rows[1].ratio is not None
    assert 0.0 <= rows[1].ratio.median <= 1.0
    assert (rows[1].other, rows[1].unit) == (3, "robots")
    assert "other constraints 100%" in rows[1].note, "what is no number is seen at once"
    text = page.read_text()
    assert text.startswith("# Before\n\n" + BEGIN)
    assert text.endswith(END + "\nafter\n")
    assert "an old table" not in text
    assert text.count("\n| ") == 5


def test_the_page_has_a_place_for_the_table() -> None:
    page = (Path(envelope.__file__).parents[1] / "docs" / "calibration.md").read_text()
    assert page.index(BEGIN) < page.index(END)
