"""Reward terms: small functions of the environment, (N,) each. Costs are positive; their weights are negative.

The shapes follow legged_gym (Rudin et al. 2022, "Learning to Walk in Minutes Using Massively Parallel Deep
Reinforcement Learning"), written for joint targets in rad instead of scaled network outputs.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sim.env import CONTACT_FORCE, VecEnv

MOVING = 0.1  # m/s or rad/s: a smaller command asks the robot to stand


def track_lin_vel(env: VecEnv, sigma: float = 0.25) -> Tensor:
    """exp(-|v - command|^2 / sigma) of the horizontal base velocity; 1 when exact. `sigma` in (m/s)^2."""
    error = (env.base_lin_vel[:, :2] - env.command[:, :2]).square().sum(dim=1)
    return torch.exp(-error / sigma)


def track_yaw_rate(env: VecEnv, sigma: float = 0.25) -> Tensor:
    """exp(-(w - command)^2 / sigma) of the base yaw rate; 1 when exact. `sigma` in (rad/s)^2."""
    error = (env.state.root_ang_vel[:, 2] - env.command[:, 2]).square()
    return torch.exp(-error / sigma)


def vertical_velocity(env: VecEnv) -> Tensor:
    """Squared vertical velocity of the base, (m/s)^2."""
    return env.base_lin_vel[:, 2].square()


def roll_pitch_rate(env: VecEnv) -> Tensor:
    """Squared roll and pitch rates, (rad/s)^2."""
    return env.state.root_ang_vel[:, :2].square().sum(dim=1)


def tilt(env: VecEnv) -> Tensor:
    """Squared sine of the angle between the base's z axis and the vertical."""
    return env.gravity[:, :2].square().sum(dim=1)


def base_height(env: VecEnv) -> Tensor:
    """Squared deviation of the base from its standing height, m^2."""
    return (env.state.root_pos[:, 2] - env.robot.standing_height).square()


def torque(env: VecEnv) -> Tensor:
    """Sum of squared motor torques, (N m)^2."""
    return env.state.joint_torque.square().sum(dim=1)


def power(env: VecEnv) -> Tensor:
    """Sum of |torque * joint velocity|, W."""
    return (env.state.joint_torque * env.state.joint_vel).abs().sum(dim=1)


def joint_acceleration(env: VecEnv) -> Tensor:
    """Sum of squared joint accelerations over the control step, (rad/s^2)^2."""
    change = (env.state.joint_vel - env.last_joint_vel) / env.control_period
    return change.square().sum(dim=1)


def target_change(env: VecEnv) -> Tensor:
    """Sum of squared changes of the joint targets from one control step to the next, rad^2."""
    return (env.joint_target - env.last_joint_target).square().sum(dim=1)


def joint_deviation(env: VecEnv) -> Tensor:
    """Sum of squared joint deviations from the default pose, rad^2."""
    return (env.state.joint_pos - env.default_joint_pos).square().sum(dim=1)


def standing_deviation(env: VecEnv) -> Tensor:
    """Sum of absolute joint deviations from the default pose while asked to stand, rad."""
    deviation = (env.state.joint_pos - env.default_joint_pos).abs().sum(dim=1)
    return deviation * ~is_moving(env)


def air_time(env: VecEnv, wanted: float = 0.2, longest: float = 0.5) -> Tensor:
    """At each touchdown, seconds the foot was in the air beyond `wanted`, capped; only while asked to move."""
    touchdown = env.foot_contact & (env.air_time > env.control_period)
    flight = (env.air_time.clamp(max=longest) - wanted) * touchdown
    return flight.sum(dim=1) * is_moving(env)


def foot_swing(
    period: float, phases: tuple[float, ...], swing_height: float, sigma: float = 0.0005
) -> Callable[[VecEnv], Tensor]:
    """Makes a term: exp(-mean squared error of foot heights / sigma) to a gait's, while asked to move; sigma in m^2.

    Foot i swings in the first half of its period, shifted by `phases[i]` periods: it should rise and land as sin^2, to
    `swing_height` m. In the other half it should rest on the ground. `period` in s.
    """
    offset = torch.tensor(phases)

    def term(env: VecEnv) -> Tensor:
        phase = torch.remainder(env.clock[:, None] / period + offset.to(env.device), 1.0)
        swing = torch.where(phase < 0.5, torch.sin(2.0 * torch.pi * phase).square(), 0.0)
        height = env.state.foot_pos[:, :, 2] - env.robot.feet[0].radius
        error = (height - swing_height * swing).square().mean(dim=1)
        return torch.exp(-error / sigma) * is_moving(env)

    return term


def foot_slip(env: VecEnv) -> Tensor:
    """Sum of squared horizontal velocities of the feet that touch the ground, (m/s)^2."""
    speed = env.state.foot_vel[:, :, :2].square().sum(dim=2)
    return (speed * env.foot_contact).sum(dim=1)


def foot_clearance(env: VecEnv, height: float = 0.08) -> Tensor:
    """Squared shortfall of swing height of the feet, weighted by their horizontal speed, m^2 * m/s."""
    state = env.state
    radius = env.robot.feet[0].radius
    shortfall = (height - (state.foot_pos[:, :, 2] - radius)).clamp(min=0.0).square()
    speed = state.foot_vel[:, :, :2].norm(dim=2)
    return (shortfall * speed).sum(dim=1) * is_moving(env)


def unwanted_contact(env: VecEnv) -> Tensor:
    """Number of collision geoms other than feet that touch the ground."""
    touching = env.state.contact_force > CONTACT_FORCE
    return touching.sum(dim=1) - touching[:, env.engine.foot_columns].sum(dim=1).float()


def joint_limit(margin: float = 0.1) -> Callable[[VecEnv], Tensor]:
    """Makes a term: sum of how far joints are inside `margin` rad of their position limits, rad."""

    def term(env: VecEnv) -> Tensor:
        lower, upper = env.joint_limits
        pos = env.state.joint_pos
        return ((lower + margin - pos).clamp(min=0.0) + (pos - upper + margin).clamp(min=0.0)).sum(dim=1)

    return term


def is_moving(env: VecEnv) -> Tensor:
    """(N,) bool: the command asks for motion."""
    return env.command.norm(dim=1) > MOVING
