"""What a check records of many episodes side by side, and what tasks judge."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from contract.robot import Robot

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rollout:
    """T control steps of N environments with J joints, as they really were, not as sensors saw them.

    Rows of an environment that has fallen hold numbers without meaning: `alive` says which rows count.

    Attributes:
        period: control period, s.
        alive: (T, N) the environment has not fallen yet, this step included.
        diverged: (N,) it fell because the physics diverged.
        command: (N, C) in the units of the command signal.
        base_lin_vel: (T, N, 3) m/s, base frame.
        base_ang_vel: (T, N, 3) rad/s, base frame.
        root_pos: (T, N, 3) m, world. root_quat: (T, N, 4) w, x, y, z, world_from_base.
        joint_pos, joint_vel, joint_torque: (T, N, J) rad, rad/s, N m, at the end of each step.
        joint_target: (T, N, J) rad, what the policy asked for in that step.
        mass: (N,) kg, of the whole robot, payload included.
        draws: the randomised parameters of each episode, (N, size) each.
    """

    period: float
    alive: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    command: Array
    base_lin_vel: Array
    base_ang_vel: Array
    root_pos: Array
    root_quat: Array
    joint_pos: Array
    joint_vel: Array
    joint_torque: Array
    joint_target: Array
    mass: NDArray[np.float64]
    draws: dict[str, Array]

    @property
    def fell(self) -> NDArray[np.bool_]:
        """(N,) the environment fell at some time."""
        return ~self.alive[-1]

    @property
    def time(self) -> NDArray[np.float64]:
        """(T,) s since the start, at the end of each step."""
        return np.arange(1, len(self.alive) + 1) * np.float64(self.period)


def robot_mass(robot: Robot) -> float:
    """Mass of the undisturbed robot, kg."""
    return float(mujoco.MjModel.from_xml_path(str(robot.mjcf)).body_mass.sum())
