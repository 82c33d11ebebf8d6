"""Physical parameters of each world, and what MuJoCo derives from them, written on the device."""

from collections.abc import Mapping

import mujoco
import mujoco_warp
import numpy as np
import torch
import warp as wp
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Parameter
from sim.engines.mujoco_model import MujocoModel

# Fields that parameters change, each with its own row in every world; all other fields are shared.
FIELDS = (
    "geom_friction",
    "body_mass",
    "body_ipos",
    "body_subtreemass",
    "body_invweight0",
    "dof_frictionloss",
    "dof_damping",
    "dof_armature",
    "dof_invweight0",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_forcerange",
)

_AT_ONCE = 4096  # worlds, of which a robot's Jacobians fill 50 MB

_MOTOR = {"motor_strength", "kp_factor", "kd_factor"}  # written together
_INERTIAL = {"payload_mass", "base_com", "joint_armature"}


class WorldParameters:
    """Parameter values and model fields of `num_envs` worlds.

    Args:
        robot: whose parameters they are.
        built: its model, whose values are nominal.
        model: MuJoCo Warp's, with a row a world in each of `FIELDS`.
        parameters: what may be set.
        num_envs: worlds.
        device: where the fields are.

    Attributes:
        values: present values by name, each (N, size), float64 so that derived constants are MuJoCo's.
    """

    def __init__(
        self,
        robot: Robot,
        built: MujocoModel,
        model: mujoco_warp.Model,
        parameters: Mapping[str, Parameter],
        num_envs: int,
        device: torch.device,
    ) -> None:
        nominal = built.model
        self._base = nominal.body(robot.base_body).id
        self._joints = slice(nominal.nv - robot.num_joints, nominal.nv)
        geoms = [nominal.geom(name).id for name in built.contact_geoms]
        self._geoms = torch.tensor(geoms, dtype=torch.long, device=device)
        self._fields = {name: wp.to_torch(getattr(model, name)) for name in FIELDS}
        self._meaninertia = wp.to_torch(model.stat.meaninertia)
        self._constants = _Constants(nominal, self._base, self._joints, device)

        def constant(values: np.ndarray | float | tuple[float, ...]) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)

        self._gain = constant(nominal.actuator_gainprm[:, 0])
        self._damping = constant(nominal.actuator_biasprm[:, 2])
        self._range = constant(nominal.actuator_forcerange)
        self.values = {n: constant(p.nominal).expand(num_envs, p.size).clone() for n, p in parameters.items()}

    def set(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        """Set parameters by name, each (n, size), in the worlds `ids` (n,).

        Raises:
            UsageError: there is no such parameter.
        """
        unknown = sorted(set(values) - set(self.values))
        if unknown:
            raise UsageError(
                f"engine mujoco_warp has no parameter '{unknown[0]}'; it has {', '.join(sorted(self.values))}"
            )
        for name, value in values.items():
            self.values[name][ids] = value.double()
        if "friction" in values:
            self._fields["geom_friction"][ids[:, None], self._geoms, 0] = self._float("friction", ids)
        for name, field in (("joint_friction", "dof_frictionloss"), ("joint_damping", "dof_damping")):
            if name in values:
                self._fields[field][ids, self._joints] = self._float(name, ids)
        if not _MOTOR.isdisjoint(values):
            self._write_motor(ids)
        if not _INERTIAL.isdisjoint(values):
            for some in ids.split(_AT_ONCE):
                self._write_inertia(some)

    def _float(self, name: str, ids: Tensor) -> Tensor:
        return self.values[name][ids].float()

    def _write_motor(self, ids: Tensor) -> None:
        """A weak motor gives `motor_strength` times the torque that the servo asks for, saturation included."""
        strength = self.values["motor_strength"][ids]
        kp = (strength * self.values["kp_factor"][ids] * self._gain).float()
        kd = strength * self.values["kd_factor"][ids] * self._damping
        self._fields["actuator_gainprm"][ids, :, 0] = kp
        self._fields["actuator_biasprm"][ids, :, 1] = -kp
        self._fields["actuator_biasprm"][ids, :, 2] = kd.float()
        self._fields["actuator_forcerange"][ids] = (strength[..., None] * self._range).float()

    def _write_inertia(self, ids: Tensor) -> None:
        payload, shift, armature = (self.values[n][ids] for n in ("payload_mass", "base_com", "joint_armature"))
        constants = self._constants
        fields = self._fields
        fields["body_mass"][ids, self._base] = (constants.mass + payload[:, 0]).float()
        fields["body_ipos"][ids, self._base] = (constants.ipos + shift).float()
        fields["dof_armature"][ids, self._joints] = armature.float()
        fields["body_subtreemass"][ids] = constants.subtree_mass(payload).float()
        inertia = constants.inertia(payload, shift, armature)
        inverse = torch.linalg.inv_ex(inertia).inverse  # `inv` would wait for the device to tell whether it failed
        fields["dof_invweight0"][ids] = constants.dof_inverse_weight(inverse).float()
        fields["body_invweight0"][ids] = constants.body_inverse_weight(inverse, shift).float()
        self._meaninertia[ids] = inertia.diagonal(dim1=1, dim2=2).mean(dim=1).float()


class _Constants:
    """What `mj_setConst` derives from masses, centres of mass and rotor inertias, in closed form for many worlds.

    A body of mass m whose centre of mass has the Jacobian J adds m J^T J to the joint-space inertia matrix. So that
    of a world is the nominal one, less what the base added, plus what it adds now, and the change of armature on its
    diagonal. All at the model's reference pose; float64, since light joints hang from heavy bases.
    """

    def __init__(self, model: mujoco.MjModel, base: int, joints: slice, device: torch.device) -> None:
        data = mujoco.MjData(model)
        data.qpos[:] = model.qpos0
        mujoco.mj_forward(model, data)
        inertia = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, inertia)
        jacobians = np.zeros((model.nbody, 2, 3, model.nv))  # of centres of mass: translation, rotation
        for body in range(model.nbody):
            mujoco.mj_jacBodyCom(model, data, jacobians[body, 0], jacobians[body, 1], body)
        ancestors = np.zeros(model.nbody)
        body = base
        while body:
            ancestors[body] = 1.0
            body = model.body_parentid[body]
        ancestors[0] = 1.0

        def constant(values: np.ndarray) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)

        self._base, self._joints = base, joints
        self.mass = constant(model.body_mass[base])
        self.ipos = constant(model.body_ipos[base])
        self._rotation = constant(data.xmat[base].reshape(3, 3))
        self._jacobians = constant(jacobians)
        self._inertia = constant(inertia)
        self._armature = constant(model.dof_armature[joints])
        self._subtree_mass, self._ancestors = constant(model.body_subtreemass), constant(ancestors)
        self._moving = constant(model.body_weldid != 0)
        self._mean = constant(_averages(model))

    def subtree_mass(self, payload: Tensor) -> Tensor:
        """(n, nbody) kg, of each body with all that hangs from it."""
        return self._subtree_mass + payload * self._ancestors

    def inertia(self, payload: Tensor, shift: Tensor, armature: Tensor) -> Tensor:
        """(n, nv, nv) joint-space inertia matrix."""
        before = self._jacobians[self._base, 0]
        now = self._base_jacobian(shift)
        matrix = self._inertia - self.mass * before.T @ before
        matrix = matrix + (self.mass + payload)[..., None] * now.mT @ now
        matrix.diagonal(dim1=1, dim2=2)[:, self._joints] += armature - self._armature
        return matrix

    def dof_inverse_weight(self, inverse: Tensor) -> Tensor:
        """(n, nv), from the inverse of the inertia matrix: its diagonal, averaged within a free or ball joint."""
        return inverse.diagonal(dim1=1, dim2=2) @ self._mean

    def body_inverse_weight(self, inverse: Tensor, shift: Tensor) -> Tensor:
        """(n, nbody, 2): mean diagonal of J M^-1 J^T, translation and rotation; 0 for what does not move."""
        jacobians = self._jacobians.expand(len(inverse), -1, -1, -1, -1).clone()
        jacobians[:, self._base, 0] = self._base_jacobian(shift)
        weight = torch.einsum("nbkiv,nvw,nbkiw->nbk", jacobians, inverse, jacobians) / 3.0
        return weight * self._moving[:, None]

    def _base_jacobian(self, shift: Tensor) -> Tensor:
        """(n, 3, nv): a point shifted by d moves faster by w x d."""
        translation, rotation = self._jacobians[self._base]
        world = shift @ self._rotation.T
        return translation + torch.linalg.cross(rotation.expand(len(shift), -1, -1), world[..., None], dim=1)


def _averages(model: mujoco.MjModel) -> np.ndarray:
    """(nv, nv) matrix that averages over the three axes of translation, or rotation, of a free or ball joint."""
    mean = np.eye(model.nv)
    threes = {int(mujoco.mjtJoint.mjJNT_FREE): 2, int(mujoco.mjtJoint.mjJNT_BALL): 1}
    for joint in range(model.njnt):
        for three in range(threes.get(int(model.jnt_type[joint]), 0)):
            first = model.jnt_dofadr[joint] + 3 * three
            mean[first : first + 3, first : first + 3] = 1.0 / 3.0
    return mean
