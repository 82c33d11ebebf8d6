"""Unitree Go2 on flat ground, from nothing to a walk on two processor cores while a coffee gets cold."""

from domain_rand.presets import QUADRUPED
from policies.config import PPOConfig, TrainConfig
from policies.controller import ControllerConfig
from policies.gait import alternating
from policies.recipe import Recipe
from policies.symmetry import left_right
from sim.tasks.go2_velocity_flat import GAIT_PERIOD, TROT
from sim.tasks.rewards import MOVING

# A thigh that swings forward by half the angle by which its calf folds lifts the foot straight up: thigh and calf of a
# Go2 are equally long.
_FOLD = 0.25  # rad

RECIPE = Recipe(
    name="go2-velocity-flat",
    task="go2-velocity-flat",
    randomisation=QUADRUPED,
    controller=ControllerConfig(
        hidden=(128, 128, 128),
        gait=alternating(
            leg_amplitude=(0.0, _FOLD, -2.0 * _FOLD),
            leg_phases=TROT,
            period=GAIT_PERIOD,
            moving=MOVING,
        ),
    ),
    ppo=PPOConfig(entropy_coef=0.002, init_std=0.6, desired_kl=0.02, symmetry="random"),
    train=TrainConfig(steps=5_000_000),
    num_envs=256,
    mirror=left_right,
)
