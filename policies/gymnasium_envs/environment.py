"""A recipe's environment as Isaac Lab's wrappers take it: features out, actions in, whole batches as tensors."""

from typing import Any

import gymnasium
import torch
from isaaclab.envs import DirectRLEnv
from isaaclab.envs.utils.spaces import spec_to_gym_space
from torch import Tensor

from domain_rand.randomiser import EpisodeRandomiser
from policies import recipes
from policies.gymnasium_envs.configs import RecipeEnvCfg
from policies.training import build_controller
from sim import tasks
from sim.env import VecEnv

Observations = dict[str, Tensor]


class RecipeEnv(DirectRLEnv):
    """`sim.env.VecEnv` under a recipe's randomisation, seen through its `Controller`.

    What the group `policy` holds are the features that Landbridge's own training gives its network, and an action is
    what that network gives; the group `critic` is the task's privileged observation.

    A `DirectRLEnv` by name alone, since Isaac Lab's wrappers take no other: nothing of that class runs, and there is no
    `scene` or `sim`. The simulation is the engine's.

    Args:
        cfg: configuration.
        render_mode: kept for Gymnasium; there is nothing to see.
        registered: what Gymnasium adds from the registration.
    """

    def __init__(self, cfg: RecipeEnvCfg, render_mode: str | None = None, **registered: Any) -> None:
        self._is_closed = True  # until there is something to close
        self.cfg = cfg
        self.render_mode = render_mode
        recipe = recipes.load(cfg.recipe)
        seed = self.seed(recipe.seed if cfg.seed is None else cfg.seed)
        self._env = VecEnv(
            tasks.load(recipe.task),
            cfg.scene.num_envs,
            engine=cfg.engine,
            randomiser=EpisodeRandomiser(recipe.randomisation, seed),
            seed=seed,
            device=cfg.sim.device,
        )
        self._is_closed = False
        self._controller = build_controller(recipe, self._env).to(self._env.device)
        self.extras: dict[str, Any] = {}
        self._begin()
        spaces = {name: spec_to_gym_space(value.shape[1]) for name, value in self.obs_buf.items()}
        self.single_observation_space = gymnasium.spaces.Dict(spaces)
        self.single_action_space = spec_to_gym_space(self._controller.action_dim)
        batch = gymnasium.vector.utils.batch_space
        self.observation_space = batch(self.single_observation_space["policy"], self.num_envs)
        self.state_space = batch(self.single_observation_space["critic"], self.num_envs)
        self.action_space = batch(self.single_action_space, self.num_envs)

    @property
    def num_envs(self) -> int:
        """Environments."""
        return self._env.num_envs

    @property
    def device(self) -> torch.device:
        """Where all tensors are."""
        return self._env.device

    @property
    def max_episode_length(self) -> int:
        """Control steps of an episode."""
        return self._env.max_steps

    @property
    def episode_length_buf(self) -> Tensor:
        """(N,) control steps that each episode has taken. rsl_rl scatters them at its start."""
        return self._env.episode_step

    @episode_length_buf.setter
    def episode_length_buf(self, value: Tensor) -> None:
        self._env.episode_step = value.long()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observations, dict]:
        """Begin a new episode everywhere."""
        if seed is not None:
            self.seed(seed)
        self._env.reset()
        self._begin()
        return self.obs_buf, self.extras

    def step(self, action: Tensor) -> tuple[Observations, Tensor, Tensor, Tensor, dict[str, Any]]:
        """Advance one control period under actions (N, A); finished episodes begin anew.

        Returns:
            Observations (N, ...), reward (N,), terminated (N,), truncated (N,), and extras: under `log` the means of
            the reward terms per second, and of the tracking error.
        """
        env = self._env
        target, memory = self._controller.act(action.to(env.device), self._memory)
        result = env.step(target)
        env.finished.clear()  # rsl_rl keeps its own account of episodes
        running = (~result.done).float()
        self._observe({name: value * running.view(-1, *[1] * (value.dim() - 1)) for name, value in memory.items()})
        terms = {name: value.mean() / env.control_period for name, value in result.reward_terms.items()}
        self.extras = {"log": {**{f"reward/{k}": v for k, v in terms.items()}, "error": result.tracking_error.mean()}}
        return self.obs_buf, result.reward, result.terminated, result.truncated, self.extras

    def close(self) -> None:
        """Release the engine."""
        if not self._is_closed:
            self._is_closed = True
            self._env.close()

    def _begin(self) -> None:
        self._observe(self._controller.initial_memory(self.num_envs))

    def _observe(self, memory: dict[str, Tensor]) -> None:
        with torch.no_grad():
            features, self._memory = self._controller.observe(self._env.signals, memory)
        self.obs_buf = {"policy": features, "critic": self._env.critic_obs()}
