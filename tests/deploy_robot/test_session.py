"""`landbridge run` as a user starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from contract import robots
from deploy_robot.ros.robot_log import MODES
from deploy_robot.ros_environment import claimed_domain
from landbridge.cli import main
from tests import fixed_pose_policy

# One at a time: each is a robot that needs the processor to keep real time.
pytestmark = pytest.mark.real_time


ROBOT = robots.load("unitree_go2")
PATIENCE = 300.0  # s


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixed_pose_policy.write(tmp_path_factory.mktemp("bundle") / "standing")


class Run:
    """`landbridge run BUNDLE` in a process of its own."""

    def __init__(self, bundle: Path, out: Path, *arguments: str) -> None:
        self.out = out
        argv = [sys.executable, "-m", "landbridge", "run", str(bundle), "--out", str(out), *arguments]
        self._popen = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.printed: list[str] = []

    def await_phase(self, phase: str) -> None:
        assert self._popen.stdout is not None
        while phase not in self.printed:
            line = self._popen.stdout.readline()
            assert line, self.printed
            self.printed.append(line.strip())

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def end(self) -> int:
        text, _ = self._popen.communicate(timeout=PATIENCE)
        self.printed += text.splitlines()
        return self._popen.returncode

    def processes(self) -> list[int]:
        """What still runs of this session's children: their arguments name its folder."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.out).encode() in arguments and int(folder.name) not in (os.getpid(), self._popen.pid):
                found.append(int(folder.name))
        return found

    def log(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.out / f"{name}.npz") as file:
            return dict(file)


def test_a_whole_session_stands_arms_drives_and_lies_down(bundle: Path, tmp_path: Path) -> None:
    run = Run(bundle, tmp_path / "out", "--seconds", "5", "--command", "0,0,0", "--seed", "3")
    code = run.end()
    assert run.processes() == []
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    # A machine that is too busy trips a monitor, rightly; what the robot did is what counts here.
    assert code == (1 if summary["trips"] else 0), run.printed
    assert summary["problem"] == ""
    assert summary["motion"]["falls"] == 0
    assert summary["motion"]["tracking_error"] < 0.1
    assert summary["motion"]["distance"] < 0.3
    assert summary["seconds"] >= 5.0
    assert summary["robot_loop"]["p50"] == pytest.approx(0.005, rel=0.5)
    assert summary["policy_loop"]["p50"] == pytest.approx(0.02, rel=0.5)
    assert summary["sensor_to_command"]["p50"] > 0.002
    modes = run.log("robot_node")["tick_mode"].astype(int)
    visited = [MODES[i].value for i in dict.fromkeys(modes.tolist())]
    assert visited[:4] == ["passive", "standing_up", "ready", "active"]
    assert visited[-1] == "sitting_down"
    assert MODES[modes[-1]].value == "passive"
    truth = run.log("truth")
    assert truth["root_pos"][:, 2].max() > 0.8 * ROBOT.standing_height
    assert truth["root_pos"][-1, 2] < 0.6 * ROBOT.standing_height
    assert json.loads(str(truth["report"]))["seed"] == 3


def test_a_robot_that_does_not_follow_fails(bundle: Path, tmp_path: Path) -> None:
    run = Run(bundle, tmp_path / "out", "--seconds", "4", "--command", "0.6,0,0")
    assert run.end() == 1
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["motion"]["tracking_error"] == pytest.approx(0.6, abs=0.1)
    assert any(line.startswith("FAILED: tracking error") for line in run.printed)


def test_ctrl_c_damps_the_robot_and_leaves_no_process(bundle: Path, tmp_path: Path) -> None:
    run = Run(bundle, tmp_path / "out", "--seconds", "600", "--command", "0,0,0")
    run.await_phase("walking")
    time.sleep(1.0)
    run.signal(signal.SIGINT)
    assert run.end() == 130
    assert run.processes() == []
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["interrupted"]
    truth = run.log("truth")
    last = np.flatnonzero(truth["watchdog"] == 0.0)[-1]
    assert (truth["kp"][last] == 0.0).all()
    assert (truth["kp"].max(axis=1) > 0.0).any()


def test_a_killed_session_takes_its_processes_with_it(bundle: Path, tmp_path: Path) -> None:
    run = Run(bundle, tmp_path / "out", "--seconds", "600", "--command", "0,0,0")
    run.await_phase("standing up")
    assert len(run.processes()) == 3
    run.signal(signal.SIGKILL)
    run.end()
    deadline = time.monotonic() + PATIENCE
    while run.processes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(run.log("truth")["time"]) > 0, "each ended in its own orderly way"
    assert len(run.log("robot_node")["tick_time"]) > 0


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        yield other.getsockname()[1]


def test_a_process_that_dies_at_the_start_is_one_sentence(
    bundle: Path, tmp_path: Path, taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(bundle), "--out", str(tmp_path / "out"), "--port", str(taken_port)]) == 1
    assert f"robot ended: UDP port {taken_port} is in use" in capsys.readouterr().err


def test_a_domain_in_use_is_one_sentence(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with claimed_domain() as domain:
        assert main(["run", str(bundle), "--out", str(tmp_path), "--domain", str(domain)]) == 1
    assert f"ROS domain {domain} is in use" in capsys.readouterr().err


def test_without_ros_it_says_how_to_get_it(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)
    assert main(["run", str(bundle)]) == 1
    assert "pip install 'landbridge[ros]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--command", "3,0,0"], 2, "--command: vx is 3, and the policy was trained for -1 to 1"),
        (["--command", "0,nan,0"], 2, "--command: vy is nan"),
        (["--command", "0.6"], 2, "must be three numbers"),
        (["--seconds", "1"], 2, "--seconds 1: must be at least 4"),
        (["--seconds", "nan"], 2, "--seconds nan: must be at least 4"),
        (["--robot", "go1"], 2, "--robot go1: unknown driver; known: emulated"),
        (["--namespace", "my robot"], 2, "--namespace 'my robot': must be names"),
        (["--domain", "0"], 2, "--domain 0: must be from 1 to 101"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_sentence(
    bundle: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", str(bundle), "--out", str(tmp_path / "out"), *arguments]) == code
    printed = capsys.readouterr().err
    assert sentence in printed
    assert len(printed.splitlines()) == 1


def test_a_bundle_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "/no/bundle"]) != 0
    assert "no such bundle" in capsys.readouterr().err
