"""The left-right mirror image of a training sample, from what the features and the critic's view are made of."""

from __future__ import annotations

from torch import Tensor

from policies.algorithms.ppo import Mirror as SampleMirror
from policies.controller import Controller
from sim.env import VecEnv
from sim.symmetry import Mirror, MirrorKind


def left_right(env: VecEnv, controller: Controller) -> SampleMirror:
    """Mirror images of (features, critic observation, action) of a task whose robot has a left and a right."""
    signs = env.task.command.mirror_sign
    features = Mirror(env.robot, controller.feature_parts, signs, env.device)
    critic = Mirror(env.robot, env.critic_parts, signs, env.device)
    action = Mirror(env.robot, [(MirrorKind.JOINT, env.robot.num_joints)], device=env.device)

    def mirrored(f: Tensor, c: Tensor, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return features(f), critic(c), action(a)

    return mirrored
