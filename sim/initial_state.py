"""The state in which an episode begins: the task's spread, or what is drawn in its place."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Parameter
from sim.rotations import quat_from_vector, quat_from_yaw, quat_multiply
from sim.stage import Stage
from sim.tasks.task import InitialState
from sim.terrains import Flat, Terrain, ground_under, spawn_height


@dataclass(frozen=True)
class Start:
    """Arguments of `Engine.reset`, (n, ...) each."""

    root_pos: Tensor
    root_quat: Tensor
    root_lin_vel: Tensor
    root_ang_vel: Tensor
    joint_pos: Tensor
    joint_vel: Tensor


class StartModel(Stage):
    """First states of episodes.

    Args:
        robot: whose.
        num_envs: environments.
        terrain: what it stands on.
        spread: the task's, which holds for what no parameter was set for.
        generator: of the spread.
    """

    def __init__(
        self, robot: Robot, num_envs: int, terrain: Terrain, spread: InitialState, generator: torch.Generator
    ) -> None:
        joints, legs, device = robot.num_joints, robot.legs, generator.device
        instead = "in place of the task's spread"
        parameters = {
            "initial_joint_pos": Parameter(joints, "rad", 0.0, f"joints off the default pose, {instead}", legs),
            "initial_joint_vel": Parameter(joints, "rad/s", 0.0, f"joint velocities, {instead}", legs),
        }
        if not robot.fixed_base:
            parameters |= {
                "initial_height": Parameter(1, "m", 0.0, f"base above the standing height, {instead}"),
                "initial_lin_vel": Parameter(3, "m/s", 0.0, f"velocity of the base, {instead}"),
                "initial_ang_vel": Parameter(3, "rad/s", 0.0, f"angular velocity of the base, {instead}"),
                "initial_tilt": Parameter(2, "rad", 0.0, "roll and pitch of the base"),
                "spawn_pos": Parameter(2, "m", 0.0, "where on the terrain, x and y from its origin"),
            }
        super().__init__(parameters, num_envs, device)
        self._spread, self._robot, self._generator = spread, robot, generator
        self._ground, self._flat = terrain.ground(), isinstance(terrain, Flat)
        self._height = robot.standing_height + spawn_height(terrain)
        self._default = torch.as_tensor(robot.default_joint_pos, dtype=torch.float32, device=device)

    def draw(self, ids: Tensor, limits: tuple[Tensor, Tensor]) -> Start:
        """Begin episodes in `ids` (n,), joints within `limits`, (J,) or (n, J) each."""
        n, spread, joints = len(ids), self._spread, self._robot.num_joints
        device = self._default.device

        def around(half: float, size: int) -> Tensor:
            return half * (2.0 * torch.rand(n, size, generator=self._generator, device=device) - 1.0)

        def drawn(name: str, otherwise: Tensor) -> Tensor:
            return self.values[name][ids] if self.uses(name) else otherwise

        # The spread is drawn whether it is used or not, so that one parameter more changes nothing but itself.
        joint_pos = self._default + drawn("initial_joint_pos", around(spread.joint_pos, joints))
        level = self._level(ids)
        height = level + around(0.5 * spread.height, 1) + 0.5 * spread.height
        if self.uses("initial_height"):
            height = level + self.values["initial_height"][ids]
        place = drawn("spawn_pos", torch.zeros(n, 2, device=device))
        quat = quat_from_yaw(around(torch.pi, 1)[:, 0])
        if self.uses("initial_tilt"):
            tilt = torch.cat([self.values["initial_tilt"][ids], torch.zeros(n, 1, device=device)], dim=1)
            quat = quat_multiply(quat, quat_from_vector(tilt))
        return Start(
            root_pos=torch.cat([place, height], dim=1),
            root_quat=quat,
            root_lin_vel=drawn("initial_lin_vel", around(spread.lin_vel, 3)),
            root_ang_vel=drawn("initial_ang_vel", around(spread.ang_vel, 3)),
            joint_pos=joint_pos.clamp(*limits),
            joint_vel=drawn("initial_joint_vel", around(spread.joint_vel, joints)),
        )

    def _level(self, ids: Tensor) -> Tensor:
        """(n, 1) m, height of a base that stands there."""
        if self._flat or not self.uses("spawn_pos"):
            return torch.full((len(ids), 1), self._height, device=self._default.device)
        places = self.values["spawn_pos"][ids].cpu().double().numpy()
        heights = self._robot.standing_height + ground_under(self._ground, places)
        if not np.isfinite(heights).all():
            x, y = places[~np.isfinite(heights)][0]
            raise UsageError(f"randomisation: spawn_pos: the terrain has no ground all around ({x:.3g}, {y:.3g}) m")
        return torch.as_tensor(heights, dtype=torch.float32, device=self._default.device)[:, None]
