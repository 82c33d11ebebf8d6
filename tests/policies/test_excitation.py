"""Excitation stays within a robot's limits, and is a bundle that a robot computer takes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import robots
from contract.robot import Robot
from deploy_robot.onnx_policy import load_policy
from policies.excitation import Excitation, targets, write_excitation

GO2 = robots.load("unitree_go2")
CARTPOLE = robots.load("cartpole")


@settings(max_examples=10, deadline=None)
@given(
    amplitude=st.floats(0.0, 5.0),
    squat=st.floats(0.0, 2.0),
    highest=st.floats(0.5, 20.0),
    seed=st.integers(0, 1000),
    robot=st.sampled_from([GO2, CARTPOLE]),
)
def test_targets_keep_every_limit_whatever_is_asked_for(
    amplitude: float, squat: float, highest: float, seed: int, robot: Robot
) -> None:
    excitation = Excitation(seconds=18.0, amplitude=amplitude, squat=squat, highest=highest, seed=seed)
    table = targets(robot, excitation)
    assert table.shape == (900, robot.num_joints)
    assert (table >= robot.joint_lower).all()
    assert (table <= robot.joint_upper).all()
    moved = np.abs(np.diff(np.concatenate([robot.default_joint_pos[None], table]), axis=0))
    assert (moved <= 0.3 * excitation.period * robot.joint_velocity_limit + 1e-12).all()
    assert (robot.kp * moved <= 0.25 * robot.joint_effort_limit + 1e-9).all()
    passive = [i for i, joint in enumerate(robot.joints) if joint.passive]
    assert (table[:, passive] == robot.default_joint_pos[passive]).all()


def test_it_begins_and_ends_in_the_default_pose_and_moves_every_motor() -> None:
    table = targets(GO2, Excitation(seconds=18.0))
    assert table[0] == pytest.approx(GO2.default_joint_pos)
    assert table[-1] == pytest.approx(GO2.default_joint_pos)
    assert (np.ptp(table, axis=0) > 0.1).all()
    assert (table == targets(GO2, Excitation(seconds=18.0))).all()
    assert not (table == targets(GO2, Excitation(seconds=18.0, seed=1))).all()


def test_the_bundle_plays_the_table_and_then_rests(tmp_path: Path) -> None:
    excitation = Excitation(seconds=6.0)
    policy = load_policy(write_excitation(tmp_path / "bundle", GO2, excitation))
    table = targets(GO2, excitation)
    wanted = np.concatenate([table, np.repeat(table[-1:], 20, axis=0)])
    played = np.stack([policy.step({"joint_pos": np.zeros((1, 12), np.float32)})[0].copy() for _ in wanted])
    assert played == pytest.approx(wanted, abs=1e-6)
    policy.reset()
    assert policy.step({"joint_pos": np.ones((1, 12), np.float32)})[0] == pytest.approx(table[0], abs=1e-6)
