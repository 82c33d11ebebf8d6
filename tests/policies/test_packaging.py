"""From a controller to a bundle that a robot accepts, and its card."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.bundle import Bundle, read_bundle
from contract.errors import BundleError
from deploy_robot.onnx_policy import load_policy
from domain_rand.distributions import Uniform
from domain_rand.spec import Randomisation, Term
from policies import packaging, provenance, recipes, training
from policies.evaluation import Check, evaluate
from policies.packaging import delay_range, package, with_check
from policies.recipe import Recipe
from sim import tasks
from sim.env import VecEnv
from sim.tasks.task import CheckCommand


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipes.load("go2-velocity-flat")


@pytest.fixture(scope="module")
def bundle(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an untrained controller."""
    torch.manual_seed(0)
    env = VecEnv(tasks.load(recipe.task), 1, threads=0)
    controller = training.build_controller(recipe, env)
    env.close()
    origin = provenance.collect(recipe, recipe.seed, {"steps": 0}, ["landbridge", "train", recipe.name])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaging, "_ROBOTS", 6)
        patch.setattr(packaging, "_STEPS", 210)
        return package(recipe, controller, origin, tmp_path_factory.mktemp("package") / recipe.name)


@pytest.fixture(scope="module")
def check(bundle: Path) -> Check:
    """A short one."""
    task = tasks.load("go2-velocity-flat")
    commands = (CheckCommand("stand", (0.0, 0.0, 0.0)), CheckCommand("walk", (0.5, 0.0, 0.0)))
    short = replace(task, check=replace(task.check, commands=commands, seconds=1.0, settle=0.2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load", lambda _: short)
        return evaluate(bundle, episodes=2, threads=0)


def graph_and_contract(bundle: Bundle) -> list[str]:
    return [hashlib.sha256(bundle.files[name]).hexdigest() for name in ("policy.onnx", "contract.json", "golden.npz")]


def test_a_robot_accepts_the_bundle(bundle: Path, recipe: Recipe) -> None:
    contract = load_policy(bundle).contract
    assert contract.task == recipe.task
    assert contract.randomisation == recipe.randomisation.describe()
    assert contract.sensor_delay.max > 0.0
    assert contract.provenance.command == "landbridge train go2-velocity-flat"
    golden = read_bundle(bundle).golden
    assert golden.steps == 200
    assert golden.batch == 4


def test_the_envelope_is_that_of_the_signals(bundle: Path) -> None:
    contract = read_bundle(bundle).contract
    envelope = contract.training_envelope
    assert set(envelope) == {signal.name for signal in contract.inputs}
    ranges = contract.command_ranges["command"]
    assert (np.array(envelope["command"].min) >= np.array(ranges.lower) - 1e-6).all()
    assert (np.array(envelope["command"].max) <= np.array(ranges.upper) + 1e-6).all()
    assert np.ptp(envelope["command"].max) < np.inf
    assert envelope["imu_quat"].mean[0] ** 2 < 1.0
    np.testing.assert_allclose(envelope["joint_pos"].mean, contract.default_joint_pos, atol=0.5)


def test_a_card_before_and_after_the_check(bundle: Path, check: Check, tmp_path: Path) -> None:
    before = read_bundle(bundle)
    assert "Not checked yet" in before.card
    with_check(check)
    after = read_bundle(bundle)
    assert graph_and_contract(after) == graph_and_contract(before), "nothing that a robot acts on has changed"
    assert "Not checked yet" not in after.card
    assert f"{check.result.episodes} episodes of 1 s" in after.card
    assert "| walk |" in after.card
    for name in re.findall(r"\(plots/(.*?)\)", after.card):
        assert name in after.plots
    load_policy(bundle)
    with pytest.raises(BundleError, match="has changed since its check"):
        with_check(check)


def test_delays_of_a_randomisation() -> None:
    randomisation = Randomisation((Term("sensor_delay", Uniform(0.002, 0.01)),))
    assert delay_range(randomisation, "sensor") == (0.002, 0.01)
    assert delay_range(randomisation, "action") == (0.0, 0.0)
    jittery = randomisation.updated(Term("sensor_jitter", Uniform(0.001, 0.004)))
    assert delay_range(jittery, "sensor") == (0.002, 0.014)
