"""The benchmark of the GPU engine, at sizes that mean nothing and on the CPU."""

import math
from contextlib import closing

import pytest

pytest.importorskip("mujoco_warp")

import torch

from benchmarks.warp import SIZES, WarpBenchmark
from benchmarks.warp_plain import Plain
from sim import engines, tasks
from sim.env import VecEnv

pytestmark = pytest.mark.xdist_group("warp")


def test_engine_and_environment_are_compared_with_plain_mujoco_warp():
    rows = list(WarpBenchmark(sizes=(2,), steps=2, rounds=2, device="cpu").run())
    assert [row.what for row in rows] == ["engine alone, 2 environments", "whole environment, 2 environments"]
    for row in rows:
        assert row.ratio is not None
        assert 0.0 < row.ratio.median < math.inf
    assert [row.aim and row.aim.limit for row in rows] == [0.85, None]
    assert SIZES["cuda"] == (1024, 4096, 16384)


def test_without_mujoco_warp_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(engines, "missing_module", lambda name: "warp")
    (row,) = WarpBenchmark().run()
    assert row.verdict == "not measured"
    assert "landbridge[gpu]" in row.note


def test_plain_mujoco_warp_does_the_engines_work():
    with closing(VecEnv(tasks.load("go2-velocity-flat"), 3, engine="mujoco_warp", device="cpu")) as env:
        plain = Plain(env)
        targets = env.default_joint_pos + 0.4 * torch.randn(5, 3, env.robot.num_joints)
        plain.place(env)
        for row in targets:
            env.engine.step(row[:, None].expand(-1, env.engine.decimation, -1))
            plain.step(row)
        assert (plain.joint_pos() - env.state.joint_pos).abs().max() < 1e-4  # the solver begins from elsewhere
        assert (targets[-1] - plain.joint_pos()).abs().max() > 0.05  # or there would be nothing to agree on
