"""Every bundle that Landbridge ships is whole, small, tells where it comes from, and walks."""

from pathlib import Path

import pytest

import contract.robots
from contract.bundle import read_bundle
from deploy_robot.onnx_policy import load_policy
from deploy_robot.session import SessionConfig, run_session
from hil_tests.robot_process import emulated_robot
from policies import bundles, recipes
from policies.evaluation import evaluate

MAX_BYTES = 2_000_000
GO2 = "go2-velocity-flat"


@pytest.mark.parametrize("name", bundles.names())
def test_is_small_whole_and_says_where_it_comes_from(name: str) -> None:
    path = bundles.path(name)
    assert sum(file.stat().st_size for file in path.rglob("*")) < MAX_BYTES
    bundle = read_bundle(path)
    origin = bundle.contract.provenance
    assert origin.git_commit and not origin.git_dirty
    assert origin.command.startswith("landbridge train")
    assert origin.command in bundle.card
    assert bundle.contract.task in recipes.names()
    policy = load_policy(path, contract.robots.load(bundle.contract.robot))
    assert policy.contract == bundle.contract


def test_a_bundle_is_shipped_for_every_recipe() -> None:
    assert bundles.names() == recipes.names()


@pytest.mark.parametrize("name", bundles.names())
def test_holds_its_bar_on_randomised_robots(name: str) -> None:
    check = evaluate(bundles.path(name), episodes=2, seed=5, threads=1)
    failed = [f"{bar.name}: {bar.value:.3f}, at most {bar.limit:g}" for bar in check.result.bars if not bar.passed]
    assert not failed


@pytest.mark.real_time
def test_walks_over_ros_under_the_supervisor(tmp_path: Path) -> None:
    config = SessionConfig(bundles.path(GO2), tmp_path / "run", (0.5, 0.0, 0.3), 6.0)
    summary = run_session(config, emulated_robot(seed=3))
    assert not summary.problem
    # Other tests keep the machine busy: a late target may hold the robot for a moment. Nothing may damp or stop it.
    assert not [trip for trip in summary.trips if trip["reaction"] in ("damp", "stop")]
    assert summary.motion is not None
    assert summary.motion.falls == 0
    assert summary.motion.tracking_error < 0.25
    assert summary.motion.distance > 1.5
