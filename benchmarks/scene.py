"""What the speed benchmarks simulate: the walking task under its recipe's randomisation, with robots that stumble."""

import torch
from torch import Tensor

from domain_rand.randomiser import EpisodeRandomiser
from policies import recipes
from sim import tasks
from sim.env import VecEnv

RECIPE = "go2-velocity-flat"
ACTION = 0.5  # rad, targets are uniform in +- this around the default pose: robots shuffle, stumble and fall


def make_env(num_envs: int, threads: int | None, seed: int = 1) -> VecEnv:
    """The environments of the recipe, randomised, on torch's one thread as in training."""
    recipe = recipes.load(RECIPE)
    torch.set_num_threads(recipe.train.collect_threads)
    randomiser = EpisodeRandomiser(recipe.randomisation, seed)
    return VecEnv(tasks.load(recipe.task), num_envs, randomiser=randomiser, seed=seed, threads=threads)


class Targets:
    """Random joint targets, a block of control steps at a time."""

    def __init__(self, env: VecEnv, steps: int, seed: int = 0) -> None:
        self._middle = env.default_joint_pos
        self._shape = (steps, env.num_envs, env.robot.num_joints)
        self._generator = torch.Generator().manual_seed(seed)
        self.block = self._middle.expand(self._shape)

    def draw(self) -> Tensor:
        """A new block, (steps, N, J) rad, also kept in `block`."""
        uniform = torch.rand(self._shape, generator=self._generator)
        self.block = self._middle + ACTION * (2.0 * uniform - 1.0)
        return self.block


def advance(env: VecEnv, block: Tensor) -> None:
    """One control step for each row of `block`."""
    for targets in block:
        env.step(targets)
