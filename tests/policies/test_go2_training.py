"""Training of the real task: it resumes bit for bit, and what it leaves is a bundle that verifies."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.bundle import read_bundle
from deploy_robot.onnx_policy import load_policy
from domain_rand.randomiser import EpisodeRandomiser
from policies import packaging, recipes, training
from policies.config import TrainConfig
from policies.logging import EPISODES
from policies.progress import NotesOnly
from policies.recipe import Recipe
from policies.trainer import Outcome, Trainer

ENVS, ROLLOUT = 6, 8
ITERATION = ENVS * ROLLOUT


def _recipe(iterations: int) -> Recipe:
    recipe = recipes.load("go2-velocity-flat")
    return dataclasses.replace(
        recipe,
        num_envs=ENVS,
        ppo=dataclasses.replace(recipe.ppo, rollout_steps=ROLLOUT, minibatches=2),
        train=TrainConfig(steps=iterations * ITERATION),
    )


def _train(directory: Path, iterations: int, *, resume: bool = False) -> Trainer:
    trainer = training.build_trainer(_recipe(iterations), directory, NotesOnly())
    if resume:
        trainer.resume()
    assert trainer.train() is Outcome.FINISHED
    return trainer


def _weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return dict(trainer.algorithm.state_dict())


def test_resumes_bit_for_bit_with_randomisation_on(tmp_path: Path) -> None:
    straight = _train(tmp_path / "straight", 4)
    _train(tmp_path / "parts", 2)
    resumed = _train(tmp_path / "parts", 4, resume=True)
    assert resumed.steps == straight.steps == 4 * ITERATION
    before, after = _weights(straight), _weights(resumed)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    for name, value in straight.env.signals.items():
        assert torch.equal(value, resumed.env.signals[name]), name


def test_each_iteration_moves_the_weights(tmp_path: Path) -> None:
    one = _weights(_train(tmp_path / "one", 1))
    two = _weights(_train(tmp_path / "two", 2))
    name = "controller.network.0.weight"
    assert not torch.equal(one[name], two[name])


def test_an_unfinished_run_exports_a_bundle_that_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "_STEPS", packaging.GOLDEN_STEPS)
    monkeypatch.setattr(packaging, "_ROBOTS", 4)
    arguments = ("--num-envs", str(ENVS), "--ppo.rollout-steps", str(ROLLOUT), "--train.steps", str(ITERATION))
    trainer = training.begin(
        recipes.load("go2-velocity-flat"), arguments, tmp_path, ["landbridge", "train"], NotesOnly()
    )
    trainer.train()
    path = packaging.package_run(trainer.directory, tmp_path / "bundle", NotesOnly())
    contract = read_bundle(path).contract
    assert contract.robot == "unitree_go2"
    assert contract.provenance.training["steps"] == ITERATION
    assert contract.provenance.command == "landbridge train"
    assert all(signal.measurable for signal in contract.inputs)
    load_policy(path, trainer.env.robot)


def test_the_robot_of_any_episode_can_be_drawn_again(tmp_path: Path) -> None:
    recipe = dataclasses.replace(_recipe(40), num_envs=2)
    trainer = training.build_trainer(recipe, tmp_path, NotesOnly())
    trainer.env.max_steps = 10  # episodes that end within the budget
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / EPISODES).read_text().splitlines()]
    assert {line["env"] for line in lines} == {0, 1}
    last = max((line for line in lines if line["env"] == 0), key=lambda line: line["episode"])
    assert last["episode"] == int(trainer.env.episode_index[0]) - 1

    again = EpisodeRandomiser(recipe.randomisation, recipe.seed)
    again.bind(trainer.env.parameters)
    draw = again.draw(np.array([0]), np.array([last["episode"] + 1]))
    for name, value in draw.items():
        assert torch.equal(value[0], trainer.env.draws[name][0]), name
