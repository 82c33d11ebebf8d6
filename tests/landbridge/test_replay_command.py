"""`landbridge replay`: the same commands bit for bit, where others part, and one sentence for what does not fit."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import toy_policy
from supervised_robot import GO2, SupervisedRobot, rolled
from toy_policy import ToyParameters

from contract import robots
from contract.bundle import read_bundle
from contract.errors import UsageError
from contract.robot import Robot
from contract.signals import Signal
from deploy_robot import cdr, recording, ticks
from deploy_robot.onnx_policy import OnnxPolicy
from deploy_robot.policy_steps import StepEncoder
from deploy_robot.recording import STEPS, TICKS, Message
from deploy_robot.replay import replay_commands
from deploy_robot.supervisor import Mode
from landbridge.cli import main
from tests import fixed_pose_policy

PERIOD = 20_000_000  # ns
STEPS_MADE = 60
RESETS = (*range(10), 40)


@pytest.fixture(autouse=True)
def known_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    load = robots.load

    def load_or_toy(name: str) -> Robot:
        return toy_policy.ROBOT if name == "toy" else load(name)

    monkeypatch.setattr(robots, "load", load_or_toy)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return toy_policy.write(tmp_path / "toy")


def steps_of(bundle: Path) -> list[Message]:
    """What policy_node says while it runs the bundle, on random signals, one of them broken."""
    policy = OnnxPolicy(read_bundle(bundle))
    encoder = StepEncoder(policy.contract)
    generator = np.random.default_rng(3)
    messages = []
    for n in range(STEPS_MADE):
        reset = n in RESETS
        if reset:
            policy.reset()
        signals = {s.name: generator.normal(size=(1, *s.shape)) for s in policy.contract.inputs}
        if n == 25:
            signals["gyro"][0, 1] = np.nan
        memory = policy.memory
        data = encoder.encode(reset, signals, memory, policy.step(signals)[0])
        messages.append(Message(STEPS, n * PERIOD, data))
    return messages


def write(path: Path, messages: list[Message], digest: str = "", robot: str = "toy") -> Path:
    path.write_bytes(recording.to_bytes(messages, recording.about(robot, digest)))
    return path


@pytest.fixture
def log(bundle: Path, tmp_path: Path) -> Path:
    return write(tmp_path / "log.mcap", steps_of(bundle), read_bundle(bundle).digest)


def test_the_commands_are_the_same_bit_for_bit(log: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(log), str(bundle)]) == 0
    said = capsys.readouterr().out
    assert f"{STEPS_MADE} steps replayed\n" in said
    assert "bit for bit" in said
    assert "recorded with" not in said


@pytest.mark.parametrize("first", [0, 17, 45])
def test_a_recording_may_begin_anywhere_and_have_gaps(bundle: Path, tmp_path: Path, first: int) -> None:
    messages = steps_of(bundle)[first:]
    del messages[5:9]
    found = recording.read_recording(write(tmp_path / "log.mcap", messages))
    replay = replay_commands(found, OnnxPolicy(read_bundle(bundle)))
    assert (replay.steps, replay.missing, replay.differing) == (len(messages), 4, 0)
    assert replay.first is None
    assert replay.largest is None


def test_one_changed_bit_is_found(bundle: Path, tmp_path: Path) -> None:
    messages = steps_of(bundle)
    data = bytearray(messages[12].data)
    data[-8] ^= 1  # the last bit of the last joint's target
    messages[12] = dataclasses.replace(messages[12], data=bytes(data))
    replay = replay_commands(
        recording.read_recording(write(tmp_path / "log.mcap", messages)), OnnxPolicy(read_bundle(bundle))
    )
    assert replay.differing == 1
    assert replay.first is not None
    assert replay.first == replay.largest
    assert (replay.first.step, replay.first.joint) == (12, "right_joint")
    assert replay.first.time == pytest.approx(12 * PERIOD * 1e-9)
    assert 0.0 < replay.first.size < 1e-12


def test_another_bundle_parts_where_it_is_another(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Another scale of the gyro, and traces of its own, so that it is a sound bundle.
    parameters = ToyParameters(gyro_scale=0.5)
    other = toy_policy.write(tmp_path / "unproven", parameters)
    assert main(["replay", str(log), str(other)]) == 1
    assert "does not reproduce golden.npz" in capsys.readouterr().err
    found = recording.read_recording(log)
    replay = replay_commands(found, OnnxPolicy(read_bundle(other)))
    assert replay.first is not None
    assert replay.first.step == 0
    assert replay.largest is not None
    assert replay.largest.size >= replay.first.size > 0.01
    assert not np.isfinite(replay.largest.replayed) or replay.differing > STEPS_MADE // 2


def test_where_commands_part_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write(tmp_path / "log.mcap", steps_of(fixed_pose_policy.write(tmp_path / "one")), "ab" * 32, "unitree_go2")
    pose = list(fixed_pose_policy.STANDING)
    pose[4] += 0.25
    other = fixed_pose_policy.write(tmp_path / "other", tuple(pose))
    assert main(["replay", str(log), str(other)]) == 1
    said = capsys.readouterr().out
    assert "recorded with bundle abababababab; this one is " in said
    joint = GO2.joint_names[4]
    assert f"the commands part at step 0 (0.000 s), {joint}: recorded" in said
    assert "difference 0.25\n" in said


def test_a_bundle_that_does_not_fit_is_one_sentence(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = fixed_pose_policy.write(tmp_path / "other")
    assert main(["replay", str(log), str(other)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert f"this bundle does not fit {log}: it reads " in said


def test_other_sizes_and_names_do_not_fit(log: Path, bundle: Path) -> None:
    found = recording.read_recording(log)
    policy = OnnxPolicy(read_bundle(bundle))
    inputs = policy.contract.inputs
    policy.contract = dataclasses.replace(policy.contract, inputs=(*inputs, Signal("lidar", (4,), "m", "base")))
    with pytest.raises(UsageError, match="4 numbers of signal 'lidar', and the recording holds only gyro"):
        replay_commands(found, policy)
    policy.contract = dataclasses.replace(policy.contract, inputs=inputs, joint_names=("left_joint",))
    with pytest.raises(UsageError, match="it moves 1 joints, and the recorded robot has 2"):
        replay_commands(found, policy)


def test_a_policy_with_another_memory_starts_from_nothing(log: Path, bundle: Path, tmp_path: Path) -> None:
    contract = read_bundle(bundle).contract
    messages = recording.read_recording(log).messages[STEPS]
    stripped = []
    for n, message in enumerate(messages):
        parts = cdr.read_sections(message.data)
        parts["memory/history"] = np.zeros(3)
        layout = cdr.Sections({name: part.size for name, part in parts.items()})
        stripped.append(Message(STEPS, n, layout.message(parts.values())))
    found = recording.read_recording(write(tmp_path / "other.mcap", stripped))
    replay = replay_commands(found, OnnxPolicy(read_bundle(bundle)))
    assert contract.memory
    assert replay.differing == 0, "the recording begins with zero memory"


def test_a_file_that_is_cut_off_is_used_as_far_as_it_goes(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = steps_of(bundle)
    padding = [Message(TICKS, m.time, np.random.default_rng(1).bytes(300_000)) for m in messages]
    log = write(tmp_path / "log.mcap", [m for pair in zip(messages, padding, strict=True) for m in pair])
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    assert main(["replay", str(log), str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "the file is damaged or cut off (EndOfFile): what comes before that is used" in said
    assert "bit for bit" in said
    assert f"{STEPS_MADE} steps" not in said


def monitored(path: Path) -> Path:
    """Two seconds of a Go2 that leans too far for a moment."""
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    layout = ticks.sections(GO2.num_joints)
    messages = []
    for n in range(400):
        robot.imu_quat = rolled(0.7 if 100 <= n < 150 else 0.0)
        before = robot.mode
        decision = robot.step()
        reading = robot.supervisor.reading
        assert reading is not None
        data = ticks.encode(layout, robot.now, robot.now, before, decision, reading, 0)
        messages.append(Message(TICKS, round(robot.now * 1e9), data))
    assert not robot.trips
    return write(path, messages, robot="unitree_go2")


def test_monitors_judge_a_recording_by_other_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = monitored(tmp_path / "log.mcap")
    assert main(["replay", str(log), "--monitors"]) == 0
    assert "0 trips; recorded were 0: 0 new (+), 0 gone (-)" in capsys.readouterr().out
    assert main(["replay", str(log), "--monitors", "tilt=0.6", "target_slew=1"]) == 0
    said = capsys.readouterr().out
    assert "1 trips; recorded were 0: 1 new (+), 0 gone (-)" in said
    (line,) = [line for line in said.splitlines() if line.startswith("+ ")]
    assert line.split()[3:5] == ["damp", "tilt:"]
    assert float(line.split()[1]) == pytest.approx(0.5, abs=0.15)


def test_monitors_take_the_limits_of_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = monitored(tmp_path / "log.mcap")
    strict = fixed_pose_policy.write(tmp_path / "strict", monitors={"tilt": 0.5})
    assert main(["replay", str(log), str(strict), "--monitors"]) == 0
    assert "1 trips; recorded were 0" in capsys.readouterr().out
    assert main(["replay", str(log), str(toy_policy.write(tmp_path / "toy")), "--monitors"]) == 2
    assert "is of a unitree_go2, and the bundle is for toy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "give a BUNDLE to replay its commands, or --monitors"),
        (["--monitors", "tilt"], 2, "--monitors tilt: must be CONSTRAINT=LIMIT"),
        (["--monitors", "tilt=steep"], 2, "--monitors tilt=steep: must be CONSTRAINT=LIMIT"),
        (["--monitors", "tlit=1"], 2, "--monitors tlit: no such constraint; known ones: "),
        (["--monitors", "tilt=nan"], 2, "--monitors tilt=nan: must be a number from 0 on"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_sentence(
    tmp_path: Path, arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(monitored(tmp_path / "log.mcap")), *arguments]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_what_is_not_in_the_recording_is_one_sentence(
    log: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, sentence in (
        ([str(tmp_path / "none.mcap"), str(bundle)], "cannot be read: No such file"),
        ([str(log), "--monitors"], "holds no turn of robot_node's loop"),
        ([str(bundle / "policy.onnx"), str(bundle)], "not an MCAP file"),
    ):
        assert main(["replay", *arguments]) == 1
        said = capsys.readouterr().err
        assert sentence in said
        assert len(said.splitlines()) == 1
    monitors_only = monitored(tmp_path / "other.mcap")
    assert main(["replay", str(monitors_only), str(bundle)]) == 1
    assert "holds no steps of a policy" in capsys.readouterr().err
