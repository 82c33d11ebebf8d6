import json
import os
import signal

import pytest
import torch
from toy_training import PointMass, ToyController

from contract.errors import UsageError
from domain_rand import file
from domain_rand.distributions import Uniform
from domain_rand.spec import Randomisation, Term
from landbridge.cli import main
from landbridge.train import Train
from policies import packaging, recipes, training
from policies.algorithms.ppo import PPO
from policies.config import PPOConfig, TrainConfig
from policies.recipe import Recipe
from policies.trainer import Trainer

RECIPE = Recipe(
    name="toy",
    task="no-task",
    randomisation=Randomisation(),
    ppo=PPOConfig(rollout_steps=4, epochs=1, minibatches=1, critic_hidden=(4,), precision="float32"),
    train=TrainConfig(steps=160),
    num_envs=8,
)


class State:
    signal_at: int | None = None


@pytest.fixture(autouse=True)
def toy(tmp_path, monkeypatch):
    """`train toy` trains the point mass; a signal comes at the step `signal_at`."""
    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipes, "load", lambda name: RECIPE)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    toy_state = State()

    def build_trainer(recipe, directory, reporter):
        def poison(env, reward):
            if env.steps == toy_state.signal_at:
                os.kill(os.getpid(), signal.SIGINT)
            return reward

        torch.manual_seed(recipe.seed)
        env, controller = PointMass(recipe.num_envs, seed=recipe.seed, poison=poison), ToyController((4,))
        return Trainer(env, controller, PPO(controller, env.critic_dim, recipe.ppo), recipe.train, directory, reporter)

    monkeypatch.setattr(training, "build_trainer", build_trainer)
    monkeypatch.setattr(packaging, "package_run", lambda directory, path, reporter: path)
    yield toy_state
    torch.set_num_threads(threads)


def only_run(tmp_path):
    (run,) = (tmp_path / "runs" / "toy").iterdir()
    return run


def test_a_run_leaves_everything_about_itself(tmp_path, capsys):
    assert main(["train", "toy", "--seed", "3", "--steps", "128", "--", "--ppo.gamma", "0.9"]) == 0
    run = only_run(tmp_path)
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.json",
        "provenance.json",
        "randomisation.json",
        "metrics.jsonl",
        "tensorboard",
        "checkpoints",
    }
    config = json.loads((run / "config.json").read_text())
    assert config["recipe"] == "toy"
    assert (config["config"]["seed"], config["config"]["ppo"]["gamma"]) == (3, 0.9)
    assert config["config"]["train"]["steps"] == 128
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["seed"] == 3
    assert {"git_commit", "config_hash", "command", "packages", "created"} <= set(provenance)
    assert str(run.relative_to(tmp_path)) in capsys.readouterr().out


def test_a_run_keeps_the_randomisation_that_it_read(tmp_path, monkeypatch):
    """It goes on with that when the file has changed, until it is given another."""
    path, seen = tmp_path / "mine.json", []

    def write(high):
        file.write(path, Randomisation((Term("friction", Uniform(0.4, high)),)))

    build = training.build_trainer

    def build_and_see(recipe, *rest):
        seen.append(recipe.randomisation)
        return build(recipe, *rest)

    monkeypatch.setattr(training, "build_trainer", build_and_see)
    write(1.0)
    assert main(["train", "toy", "--randomisation", str(path)]) == 0
    run = only_run(tmp_path)
    recorded = file.read(run / "randomisation.json")
    write(2.0)
    assert main(["train", "--resume", str(run), "--steps", "192"]) == 0
    path.unlink()
    assert main(["train", "--resume", str(run), "--steps", "224"]) == 0
    write(3.0)
    assert main(["train", "--resume", str(run), "--steps", "256", "--randomisation", str(path)]) == 0
    highs = [spec.terms[0].distribution.high for spec in seen]
    assert highs == [1.0, 1.0, 1.0, 3.0]
    assert recorded == seen[0]
    assert file.read(run / "randomisation.json") == seen[-1]


def test_ctrl_c_saves_says_how_to_go_on_and_that_works(tmp_path, toy, capsys):
    toy.signal_at = 10
    assert main(["train", "toy", "--seed", "3"]) == 130
    run = only_run(tmp_path)
    printed = capsys.readouterr().out
    command = printed[printed.index("landbridge train --resume") :].split()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2

    toy.signal_at = None
    assert main([*command[1:], "--steps", "192"]) == 0
    config = json.loads((run / "config.json").read_text())["config"]
    assert (config["seed"], config["train"]["steps"]) == (3, 192)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 5
    resumed = json.loads((run / "provenance.json").read_text())["resumed"]
    assert [entry["training"] for entry in resumed] == [{"resumed_at": 2}]
    assert "changed since" not in capsys.readouterr().out


def test_a_setting_that_changes_when_a_run_goes_on_is_said(tmp_path, capsys):
    assert main(["train", "toy", "--steps", "64"]) == 0
    assert main(["train", "--resume", str(only_run(tmp_path)), "--", "--ppo.clip", "0.1"]) == 0
    assert "changed since this run began: ppo.clip: 0.2 is now 0.1" in capsys.readouterr().out


def test_mistakes_are_one_sentence(tmp_path, capsys):
    assert main(["train"]) == 2
    assert "which recipe?" in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path)]) == 2
    assert "not the directory of a training run" in capsys.readouterr().err
    assert main(["train", "toy", "--steps", "0"]) == 2
    assert "train.steps: must be at least 1, got 0" in capsys.readouterr().err
    assert main(["train", "toy", "--", "--ppo.gama", "1"]) == 2
    assert not (tmp_path / "runs").exists()


def test_named_options_come_before_settings():
    train = Train("toy", ("--ppo.gamma", "0.9"), num_envs=4, minutes=0.5)
    expected = ("--num-envs", "4", "--train.minutes", "0.5", "--ppo.gamma", "0.9")
    assert train._arguments() == expected
    with pytest.raises(UsageError):
        Train().run()
