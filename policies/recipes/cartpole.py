"""Cart and pole: solved in seconds, the check that training works on a machine and on an engine."""

from domain_rand.presets import CARTPOLE
from policies.config import PPOConfig, TrainConfig
from policies.controller import ControllerConfig
from policies.recipe import Recipe

RECIPE = Recipe(
    name="cartpole",
    task="cartpole",
    randomisation=CARTPOLE,
    controller=ControllerConfig(hidden=(32, 32), action_scale=1.0),
    ppo=PPOConfig(
        rollout_steps=32,
        gamma=0.98,
        critic_hidden=(32, 32),
        entropy_coef=0.0,
        init_std=0.5,
        desired_kl=0.02,
        precision="float32",
    ),
    train=TrainConfig(steps=200_000),
    num_envs=64,
)
