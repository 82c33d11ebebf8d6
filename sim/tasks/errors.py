"""How far a robot is from what its command asks: (N,) functions of the environment."""

from collections.abc import Callable

from torch import Tensor

from sim.env import VecEnv


def velocity_error(env: VecEnv) -> Tensor:
    """Distance of the horizontal base velocity from the commanded one, m/s."""
    return (env.base_lin_vel[:, :2] - env.command[:, :2]).norm(dim=1)


def joint_error(joint: int, element: int) -> Callable[[VecEnv], Tensor]:
    """Makes an error: distance of one joint from an element of the command, rad or m."""
    return lambda env: (env.state.joint_pos[:, joint] - env.command[:, element]).abs()
