"""`landbridge excite` on the emulated robot, and what `landbridge identify` takes and refuses."""

from pathlib import Path

import numpy as np
import pytest

from contract import robots
from deploy_robot.recording import read_recording
from landbridge.cli import main
from policies.motion_log import motion_log


@pytest.mark.real_time  # needs the processor to keep real time
def test_an_excited_robot_leaves_a_log_of_its_motion(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    main(["excite", "--seconds", "8", "--seed", "3", "--out", str(tmp_path)])
    (path,) = tmp_path.glob("run-*.mcap")
    assert path.name in capfd.readouterr().out
    log = motion_log(read_recording(path), robots.load("unitree_go2"))
    assert log.seconds > 5.0
    assert log.age is not None
    assert 0.001 < np.median(log.age) < 0.05
    assert (np.ptp(log.joint_pos, axis=0) > 0.05).all()
    # More numbers than so short a log has windows for.
    words = ["motor_strength:component=0.5,1.5", "joint_damping:component=0,1"]
    assert main(["identify", str(path), "--parameters", *words, "--out", str(tmp_path / "out")]) == 2
    assert "windows are too few to identify 24 numbers" in capfd.readouterr().err
    assert main(["identify", str(path), "--parameters", "kp_facto=0,1"]) == 2
    assert "kp_factor" in capfd.readouterr().err


def test_a_log_that_cannot_be_read_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", str(tmp_path / "no.mcap"), "--parameters", "friction"]) == 1
    assert "no.mcap: cannot be read" in capfd.readouterr().err
