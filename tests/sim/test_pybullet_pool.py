"""Processes that step PyBullet worlds: they agree with the calling process, and none outlives the engine."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from go2_states import DEFAULT, JOINTS, ROBOT, assert_same, place, set_parameter, snapshot

import contract.robots
from contract.errors import LandbridgeError

pytest.importorskip("pybullet")

from sim.engines.pybullet.engine import PybulletEngine
from sim.engines.pybullet.model import build_spec, parameters
from sim.engines.pybullet.pool import open_worlds
from sim.engines.pybullet.spec import BASE
from sim.formats.tree import read_tree
from sim.terrains import FLAT

CARTPOLE = contract.robots.load("cartpole")


@pytest.fixture
def engine():
    """Three carts in two processes."""
    made = PybulletEngine(CARTPOLE, num_envs=3, processes=2)
    yield made
    made.close()


def _pids(engine):
    return [worker._process.pid for worker in engine._worlds._workers]


def _step(engine):
    engine.step(torch.zeros(engine.num_envs, engine.decimation, CARTPOLE.num_joints))


def test_the_number_of_processes_changes_no_bit():
    generator = torch.Generator().manual_seed(0)
    targets = DEFAULT + 0.3 * torch.randn(6, 3, 4, JOINTS, generator=generator)
    results = []
    for processes in (0, 2):
        engine = PybulletEngine(ROBOT, num_envs=3, processes=processes)
        place(engine)
        set_parameter(engine, "payload_mass", torch.linspace(-1.0, 2.0, 3)[:, None])
        for i in range(6):
            if i == 3:
                place(engine, [1], height=0.5)
                engine.push(torch.tensor([0, 2]), torch.ones(2, 3), torch.ones(2, 3))
            engine.step(targets[i])
        results.append(snapshot(engine))
        engine.close()
    assert_same(*results)


def test_there_are_no_more_processes_than_environments_and_none_is_left_behind():
    for asked, expected in ((None, min(2, len(os.sched_getaffinity(0)))), (5, 2)):
        engine = PybulletEngine(CARTPOLE, num_envs=2, processes=asked)
        pids = _pids(engine)
        assert len(pids) == expected
        engine.close()
        assert not any(_alive(pid) for pid in pids)


def test_a_process_that_dies_is_one_clear_error(engine):
    _step(engine)
    os.kill(_pids(engine)[1], signal.SIGKILL)
    message = "the process of environments 2 to 2 was ended by SIGKILL"
    for _ in range(2):  # and again, for who tries again
        with pytest.raises(LandbridgeError, match=message):
            _step(engine)
    with pytest.raises(LandbridgeError, match=message):
        engine.set_parameters(torch.tensor([2]), {"motor_strength": torch.ones(1, 2)})


def test_a_process_that_fails_says_why():
    tree = read_tree(CARTPOLE)
    spec = dataclasses.replace(build_spec(CARTPOLE, tree, FLAT, 0.005, 4), urdf="<robot/>")
    nominal = {name: np.broadcast_to(p.nominal, p.size) for name, p in parameters(CARTPOLE, tree).items()}
    with pytest.raises(LandbridgeError, match="engine pybullet: ValueError: URDF without link/inertial"):
        open_worlds(spec, 1, nominal, np.ones(BASE), 1)


def test_a_ctrl_c_is_the_engines_to_handle(engine):
    """The terminal sends it to all processes of the foreground."""
    for pid in _pids(engine):
        os.kill(pid, signal.SIGINT)
    _step(engine)
    assert torch.isfinite(engine.state.joint_pos).all()


def test_an_engine_that_was_interrupted_takes_no_answer_for_another(engine, monkeypatch):
    """A Ctrl-C while the engine waits leaves answers in the channels."""

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(engine._worlds._workers[0], "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _step(engine)
    with pytest.raises(LandbridgeError, match="closed"):
        _step(engine)


_ABANDON = """
import os, signal, sys
import contract.robots
from sim.engines.pybullet.engine import PybulletEngine
engine = PybulletEngine(contract.robots.load("cartpole"), num_envs=2, processes=2)
print(*(worker._process.pid for worker in engine._worlds._workers), flush=True)
os.kill(os.getpid(), getattr(signal, sys.argv[1]))
signal.pause()
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_processes_end_with_that_of_the_engine(how):
    run = subprocess.run([sys.executable, "-c", _ABANDON, how], check=False, capture_output=True, text=True)
    pids = [int(pid) for pid in run.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 30.0
    while any(_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process is left behind"
        time.sleep(0.02)


def _alive(pid):
    """Whether a process runs; one that has ended and waits for its parent to notice does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_process_needs_neither_torch_nor_mujoco():
    """They would cost each of them seconds and a few hundred megabytes."""
    code = "import sys, sim.engines.pybullet.worker; print(*{'torch', 'mujoco', 'pybullet'}.intersection(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert run.stdout.split() == ["pybullet"], run.stderr
