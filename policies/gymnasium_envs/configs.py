"""Isaac Lab's configurations of a recipe's environment and of rsl_rl's PPO for it."""

import math
from dataclasses import MISSING

import torch
from isaaclab.envs import DirectRLEnvCfg
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.sim import SimulationCfg
from isaaclab.utils import configclass
from isaaclab_newton.physics import NewtonCfg
from isaaclab_rl.rsl_rl import RslRlMLPModelCfg, RslRlOnPolicyRunnerCfg, RslRlPpoAlgorithmCfg

import contract.robots
from policies.controller import Controller
from policies.recipe import Recipe
from sim import tasks


@configclass
class RecipeEnvCfg(DirectRLEnvCfg):
    """Of what Isaac Lab's own fields say, `scene.num_envs`, `sim.device` and `seed` count; the recipe says the rest."""

    recipe: str = MISSING  # type: ignore[assignment]
    engine: str = "isaac_lab"


def environment(recipe: Recipe) -> RecipeEnvCfg:
    """The environment of a recipe."""
    task = tasks.load(recipe.task)
    robot, command = contract.robots.load(task.robot), task.command
    controller = Controller(robot, task.signals, command.lower, command.upper, recipe.controller)
    return RecipeEnvCfg(
        recipe=recipe.name,
        # Physics that does without Isaac Sim, or Isaac Lab would start that.
        sim=SimulationCfg(
            dt=task.physics_dt, render_interval=task.decimation, device=_device(recipe), physics=NewtonCfg()
        ),
        scene=InteractiveSceneCfg(num_envs=recipe.num_envs, env_spacing=0.0),
        decimation=task.decimation,
        episode_length_s=task.episode_seconds,
        observation_space=controller.feature_dim,
        action_space=controller.action_dim,
        seed=recipe.seed,
    )


def rsl_rl(recipe: Recipe) -> RslRlOnPolicyRunnerCfg:
    """rsl_rl's PPO with the recipe's settings, of those that it has."""
    ppo, controller = recipe.ppo, recipe.controller
    samples = recipe.num_envs * ppo.rollout_steps
    return RslRlOnPolicyRunnerCfg(
        experiment_name=recipe.name,
        seed=recipe.seed,
        device=_device(recipe),
        num_steps_per_env=ppo.rollout_steps,
        max_iterations=math.ceil(recipe.train.steps / samples) if recipe.train.steps else 1000,
        save_interval=recipe.train.checkpoint_every,
        obs_groups={"actor": ["policy"], "critic": ["critic"]},
        actor=RslRlMLPModelCfg(
            hidden_dims=list(controller.hidden),
            activation=controller.activation,
            obs_normalization=True,
            distribution_cfg=RslRlMLPModelCfg.GaussianDistributionCfg(init_std=ppo.init_std),
        ),
        critic=RslRlMLPModelCfg(hidden_dims=list(ppo.critic_hidden), activation=ppo.activation, obs_normalization=True),
        algorithm=RslRlPpoAlgorithmCfg(
            num_learning_epochs=ppo.epochs,
            num_mini_batches=ppo.minibatches,
            gamma=ppo.gamma,
            lam=ppo.gae_lambda,
            clip_param=ppo.clip,
            use_clipped_value_loss=True,
            value_loss_coef=ppo.value_coef,
            entropy_coef=ppo.entropy_coef,
            max_grad_norm=ppo.max_grad_norm,
            learning_rate=ppo.learning_rate,
            schedule="adaptive" if ppo.schedule == "adaptive" else "fixed",
            desired_kl=ppo.desired_kl,
        ),
    )


def _device(recipe: Recipe) -> str:
    if recipe.device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    return recipe.device
