"""Physical parameters of each robot, written through Isaac Lab's articulation."""

from collections.abc import Mapping

import torch
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Parameter
from sim.engines.isaac_lab.physics import Physics
from sim.engines.isaac_lab.scene import Scene

_MOTOR = {"motor_strength", "kp_factor", "kd_factor"}  # written together


class ArticulationParameters:
    """Parameter values of `num_envs` robots.

    Args:
        robot: whose parameters they are.
        scene: where the robots are.
        physics: writes what Isaac Lab's articulation does not.
        parameters: what may be set.
        num_envs: robots.
        device: where the values are.

    Attributes:
        values: present values by name, each (N, size).
    """

    def __init__(
        self,
        robot: Robot,
        scene: Scene,
        physics: Physics,
        parameters: Mapping[str, Parameter],
        num_envs: int,
        device: torch.device,
    ) -> None:
        def constant(values: object) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=device)

        self._physics, self._articulation = physics, scene.articulation
        self._base, self._joints = [scene.base], scene.joints
        self._motors = list(robot.actuated)
        self._motor_joints = [scene.joints[i] for i in self._motors]
        self._kp, self._kd = constant(robot.kp), constant(robot.kd)
        self._limit = constant(robot.joint_effort_limit)
        data = self._articulation.data
        self._mass = data.body_mass.torch[:, self._base].clone()
        self._com = data.body_com_pos_b.torch[:, self._base].clone()
        self.values = {n: constant(p.nominal).expand(num_envs, p.size).clone() for n, p in parameters.items()}
        self._write_motors(torch.arange(num_envs, device=device))

    def set(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        """Set parameters by name, each (n, size), of the robots `ids` (n,).

        Raises:
            UsageError: there is no such parameter.
        """
        unknown = sorted(set(values) - set(self.values))
        if unknown:
            raise UsageError(f"no parameter '{unknown[0]}' in Isaac Lab; there are {', '.join(sorted(self.values))}")
        for name, value in values.items():
            self.values[name][ids] = value.float()
        rows, robot = ids.int(), self._articulation
        on_joints = {"joint_ids": self._joints, "env_ids": rows}
        if "friction" in values:
            self._physics.set_friction(ids, self.values["friction"][ids])
        if "payload_mass" in values:
            mass = self._mass[ids] + self.values["payload_mass"][ids]
            robot.set_masses_index(masses=mass, body_ids=self._base, env_ids=rows)
        if "base_com" in values:
            centre = self._com[ids] + self.values["base_com"][ids, None]
            self._physics.set_centre_of_mass(ids, self._base, centre)
        if "joint_friction" in values:
            self._physics.set_joint_friction(ids, self._joints, self.values["joint_friction"][ids])
        if "joint_damping" in values:
            robot.write_joint_viscous_friction_coefficient_to_sim_index(
                joint_viscous_friction_coeff=self.values["joint_damping"][ids], **on_joints
            )
        if "joint_armature" in values:
            robot.write_joint_armature_to_sim_index(armature=self.values["joint_armature"][ids], **on_joints)
        if not _MOTOR.isdisjoint(values):
            self._write_motors(ids)

    def _write_motors(self, ids: Tensor) -> None:
        """A weak motor gives `motor_strength` times the torque that the servo asks for, saturation included."""
        strength, kp, kd = (self.values[name][ids] for name in ("motor_strength", "kp_factor", "kd_factor"))
        robot, where = self._articulation, {"joint_ids": self._motor_joints, "env_ids": ids.int()}

        def motors(values: Tensor) -> Tensor:
            return values[:, self._motors].contiguous()

        robot.write_joint_stiffness_to_sim_index(stiffness=motors(strength * kp * self._kp), **where)
        robot.write_joint_damping_to_sim_index(damping=motors(strength * kd * self._kd), **where)
        limit = motors(strength * self._limit)
        robot.write_joint_effort_limit_to_sim_index(limits=limit, **where)
        self._physics.set_effort_limit(ids, self._motor_joints, limit)
