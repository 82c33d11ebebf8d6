"""Everything that is made in a training step is made on the environment's device, so that a GPU gets no stray tensor.

A machine without a GPU can tell: torch's default device is set to `meta`, whose tensors hold nothing. A tensor that is
made without saying where lands there, and the first operation that mixes it with one of the processor's fails.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from domain_rand.presets import QUADRUPED
from domain_rand.randomiser import EpisodeRandomiser
from policies import recipes
from policies.recipe import with_arguments
from policies.training import build_trainer
from sim import tasks
from sim.env import VecEnv


class Silent:
    def report(self, *_: object) -> None: ...

    def note(self, _: str) -> None: ...


@pytest.fixture
def nowhere() -> Iterator[None]:
    """The default device holds nothing."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def test_the_fixture_catches_a_stray_tensor(nowhere: None) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.ones(2, device="cpu") + torch.ones(2)


@pytest.mark.parametrize("name", ["cartpole", "go2-velocity-flat"])
def test_a_training_iteration_makes_no_stray_tensor(name: str, tmp_path: Path) -> None:
    # Building reads robots and initialises networks on the processor before they move; what counts is the loop.
    arguments = ("--num-envs", "6", "--ppo.rollout-steps", "4", "--train.steps", "48", "--ppo.precision", "float32")
    trainer = build_trainer(with_arguments(recipes.load(name), arguments), tmp_path, Silent())
    torch.set_default_device("meta")
    try:
        trainer.train()
    finally:
        torch.set_default_device(None)
    trainer.env.close()
    assert trainer.steps == 48
    assert all(torch.isfinite(p).all() for p in trainer.controller.parameters())


def test_an_environment_is_made_on_its_device(nowhere: None) -> None:
    task = tasks.load("go2-velocity-flat").with_episode(0.06)
    env = VecEnv(task, 3, randomiser=EpisodeRandomiser(QUADRUPED, 1), threads=0, device="cpu")
    for _ in range(4):
        env.step(env.default_joint_pos.repeat(3, 1))
    env.load_state_dict(env.state_dict())
    env.close()
    assert env.device == torch.device("cpu")
    assert {value.device.type for value in env.signals.values()} == {"cpu"}
