"""From a recording to a log of motion."""

import math
from pathlib import Path

import numpy as np
import pytest

from contract import robots
from contract.errors import LandbridgeError
from deploy_robot import cdr, ticks
from deploy_robot.cdr import Sections
from deploy_robot.decision import Mode
from deploy_robot.recording import IMUS, JOINT_STATES, TICKS, Message, about, read_recording, to_bytes
from policies.motion_log import motion_log, robot_of

GO2 = robots.load("unitree_go2")
OFFSET = 1_700_000_000_000_000_000  # ns, of ROS time against the steady clock
FROM, TO = 1.0, 1.5  # s, while a policy drives


def tick(now: float, target: float, mode: Mode, kp: np.ndarray) -> Message:
    """A turn of robot_node's loop, of which only what the log reads is real; written 1 ms after it began."""
    joints = np.full(12, target)
    sections = {"time": 1, "written": 1, "mode_before": 1, "mode": 1, "lost": 1}
    parts: list[np.ndarray | list[float]] = [[now], [now + 0.001], [0.0], [float(ticks.MODES.index(mode))], [0.0]]
    for name in ("joint_pos", "joint_vel", "joint_torque", "imu_quat", "target", "previous_target"):
        sections[f"reading/{name}"] = 1
        parts.append([0.0])
    for name in ticks._NUMBERS:
        sections[f"reading/{name}"] = 1
        parts.append([0.0])
    for name, values in (("joint_target", joints), ("kp", kp), ("kd", GO2.kd)):
        sections[f"command/{name}"] = 12
        parts.append(values)
    at = OFFSET + round(1e9 * now)
    return Message(TICKS, at, Sections(sections).message(parts))


def recording(path: Path, kp: np.ndarray = GO2.kp, robot: str = "unitree_go2", names: tuple[str, ...] = ()) -> Path:
    """Two seconds at 200 Hz; a sample is 4 ms old when it is received; joints come in reverse order."""
    names = names or GO2.joint_names[::-1]
    messages = []
    for i in range(400):
        now = 0.005 * i
        stamp = OFFSET + round(1e9 * (now - 0.004))
        at = OFFSET + round(1e9 * now)
        pos = i + 0.01 * np.arange(len(names))[::-1]
        messages.append(Message(JOINT_STATES, at, cdr.joint_state(stamp, names, pos, -pos, None)))
        quat = np.array([math.cos(0.1), math.sin(0.1), 0.0, 0.0])
        messages.append(Message(IMUS, at, cdr.imu(stamp, "imu", quat, np.array([0.1, 0.2, 0.3]), None)))
        messages.append(tick(now, float(i), Mode.ACTIVE if FROM <= now < TO else Mode.READY, kp))
    path.write_bytes(to_bytes(messages, about(robot)))
    return path


def test_samples_while_the_policy_drives_and_all_targets(tmp_path: Path) -> None:
    read = read_recording(recording(tmp_path / "run.mcap"))
    assert robot_of(read) is not None
    log = motion_log(read, GO2)
    assert log.name == "run.mcap"
    # Clock: s since the first command was written.
    assert log.target_time == pytest.approx(0.005 * np.arange(400), abs=1e-6)
    assert log.target[:, 0] == pytest.approx(np.arange(400))
    steady = log.time + 0.001
    assert steady[0] == pytest.approx(FROM + 0.05, abs=0.006)  # a moment under its gains comes first
    assert steady[-1] == pytest.approx(TO, abs=0.006)
    sample = np.round((steady + 0.004) / 0.005)
    assert log.joint_pos == pytest.approx(sample[:, None] + 0.01 * np.arange(12))
    assert log.joint_vel == pytest.approx(-log.joint_pos)
    assert log.age == pytest.approx(np.full(len(log.time), 0.004), abs=1e-6)
    assert log.gyro is not None
    assert log.gyro[0] == pytest.approx([0.1, 0.2, 0.3])
    assert log.imu_quat is not None
    assert log.imu_quat[0] == pytest.approx([math.cos(0.1), math.sin(0.1), 0.0, 0.0])


def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    stiff = read_recording(recording(tmp_path / "stiff.mcap", kp=2.0 * GO2.kp))
    with pytest.raises(LandbridgeError, match="holds no motion to identify from: a policy must drive, under the gains"):
        motion_log(stiff, GO2)
    other = read_recording(recording(tmp_path / "other.mcap", robot="cartpole"))
    with pytest.raises(LandbridgeError, match="of a cartpole, not of a unitree_go2"):
        motion_log(other, GO2)
    renamed = read_recording(recording(tmp_path / "renamed.mcap", names=tuple(f"joint {i}" for i in range(12))))
    with pytest.raises(LandbridgeError, match="joint_states of other joints than unitree_go2 has"):
        motion_log(renamed, GO2)
    one = Message(IMUS, OFFSET, cdr.imu(OFFSET, "imu", np.array([1.0, 0, 0, 0]), np.zeros(3), None))
    (tmp_path / "empty.mcap").write_bytes(to_bytes([one], about("unitree_go2")))
    with pytest.raises(LandbridgeError, match="holds no turn of robot_node's loop"):
        motion_log(read_recording(tmp_path / "empty.mcap"), GO2)
