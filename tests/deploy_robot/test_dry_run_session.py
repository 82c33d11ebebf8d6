"""`landbridge run --dry-run`: everything runs and is recorded, and the robot is never commanded."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from contract import robots
from deploy_robot import drivers
from deploy_robot.recording import STEPS, TICKS, read_recording
from landbridge.cli import main
from tests import fixed_pose_policy

pytestmark = pytest.mark.real_time  # see test_session.py


def landbridge(*arguments: str) -> str:
    """What a command prints that succeeds."""
    argv = [sys.executable, "-m", "landbridge", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_dry_run_computes_and_records_and_never_commands(tmp_path: Path) -> None:
    bundle, out = fixed_pose_policy.write(tmp_path / "standing"), tmp_path / "out"
    still = ("--seconds", "4", "--command", "0,0,0")
    printed = landbridge("run", str(bundle), "--dry-run", *still, "--out", str(out))
    assert "shadowing" in printed
    assert "the robot was never written" in printed
    assert "standing up" not in printed
    summary = json.loads((out / "summary.json").read_text())
    assert summary["dry_run"]
    assert summary["trips"] == []
    with np.load(out / "truth.npz") as truth:
        assert (truth["watchdog"] == 1.0).all(), "no command ever reached the bus"
    (path,) = out.glob("*.mcap")
    recording = read_recording(path)
    assert not recording.damage
    steps, ticks = (len(recording.messages[topic]) for topic in (STEPS, TICKS))
    with np.load(out / "policy_node.npz") as policy, np.load(out / "robot_node.npz") as robot:
        assert 0 < steps <= len(policy["step_time"]), "it computed, and that was recorded"
        assert ticks == len(robot["tick_time"])
    assert main(["replay", str(path), str(bundle)]) == 0  # what the policy computed, bit for bit

    # The same recording as a robot.
    with drivers.load("replay", robots.load("unitree_go2"), str(path)) as driver:
        while (state := driver.read()) is None:
            time.sleep(0.001)
        assert driver.capabilities.state_rate > 0.0
    assert np.linalg.norm(state.imu_quat) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cpus", "two"], "cpus 'two': must be numbers of processors"),
        (["--cpus", "99999"], "cpus '99999': this process may use"),
        (["--priority", "100"], "--priority 100: must be from 1 to 99"),
        (["--robot", "replay", "--dry-run"], "driver replay: give the path of a recording"),
        (["--robot", "ros2_control", "--address", "interface=torque"], "unknown interface of ros2_control 'torque'"),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(
    tmp_path: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = fixed_pose_policy.write(tmp_path / "standing")
    assert main(["run", str(bundle), "--out", str(tmp_path / "out"), *arguments]) == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert len(printed.splitlines()) == 1
