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
from sim.engines.inertia import OF_THE_BASE, Body, is_shaped, loaded, principal
from sim.engines.mujoco_model import MujocoModel
from sim.engines.mujoco_parameters import base_of

# Fields that parameters change, each with its own row in every world; all other fields are shared.
FIELDS = (
    "geom_friction",
    "body_mass",
    "body_ipos",
    "body_inertia",
    "body_iquat",
    "body_subtreemass",
    "body_invweight0",
    "dof_frictionloss",
    "dof_damping",
    "dof_armature",
    "dof_invweight0",
    "jnt_range",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_forcerange",
)

_AT_ONCE = 4096  # worlds, of which a robot's Jacobians fill 50 MB

_MOTOR = {"motor_strength", "battery_sag", "kp_factor", "kd_factor"}  # written together
_INERTIAL = (*OF_THE_BASE, "link_mass_factor", "joint_armature")


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
        feet = [nominal.geom(foot.geom).id for foot in robot.feet]
        self._feet = torch.tensor(feet, dtype=torch.long, device=device)
        ranges = [nominal.joint(name).id for name in robot.joint_names]
        self._ranges = torch.tensor(ranges, dtype=torch.long, device=device)
        links = nominal.jnt_bodyid[ranges]
        self._links = torch.as_tensor(links.astype(np.int64), device=device)
        self._fields = {name: wp.to_torch(getattr(model, name)) for name in FIELDS}
        self._meaninertia, self._gravity = wp.to_torch(model.stat.meaninertia), wp.to_torch(model.opt.gravity)
        self._constants = _Constants(nominal, self._base, links, self._joints, device)

        def constant(values: np.ndarray | float | tuple[float, ...]) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)

        self._gain = constant(nominal.actuator_gainprm[:, 0])
        self._damping = constant(nominal.actuator_biasprm[:, 2])
        self._range = constant(nominal.actuator_forcerange)
        self._stops = constant(nominal.jnt_range[ranges])
        self._nominal_gravity = constant(nominal.opt.gravity)
        self._link_mass, self._link_inertia = constant(nominal.body_mass[links]), constant(nominal.body_inertia[links])
        self._inertia, self._turn = constant(nominal.body_inertia[self._base]), constant(nominal.body_iquat[self._base])
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
        if not {"friction", "foot_friction_factor"}.isdisjoint(values):
            self._write_friction(ids)
        for name, field in (("joint_friction", "dof_frictionloss"), ("joint_damping", "dof_damping")):
            if name in values:
                self._fields[field][ids, self._joints] = self._float(name, ids)
        if "gravity_offset" in values:
            self._gravity[ids] = (self._nominal_gravity + self.values["gravity_offset"][ids]).float()
        if "joint_stop_margin" in values:
            margin = self.values["joint_stop_margin"][ids]
            stops = self._stops + torch.stack([margin, -margin], dim=2)
            self._fields["jnt_range"][ids[:, None], self._ranges] = stops.float()
        if not _MOTOR.isdisjoint(values):
            self._write_motor(ids)
        if not set(_INERTIAL).isdisjoint(values):
            for some in ids.split(_AT_ONCE):
                self._write_inertia(some)

    def _float(self, name: str, ids: Tensor) -> Tensor:
        return self.values[name][ids].float()

    def _write_friction(self, ids: Tensor) -> None:
        friction, rows = self.values["friction"][ids], ids[:, None]
        self._fields["geom_friction"][rows, self._geoms, 0] = friction.float()
        if len(self._feet):
            feet = friction * self.values["foot_friction_factor"][ids]
            self._fields["geom_friction"][rows, self._feet, 0] = feet.float()

    def _write_motor(self, ids: Tensor) -> None:
        """A weak motor gives `motor_strength` times the torque that the servo asks for, saturation included.

        A weak battery lowers the saturation alone.
        """
        strength = self.values["motor_strength"][ids]
        kp = (strength * self.values["kp_factor"][ids] * self._gain).float()
        kd = strength * self.values["kd_factor"][ids] * self._damping
        limit = strength * (1.0 - self.values["battery_sag"][ids])
        self._fields["actuator_gainprm"][ids, :, 0] = kp
        self._fields["actuator_biasprm"][ids, :, 1] = -kp
        self._fields["actuator_biasprm"][ids, :, 2] = kd.float()
        self._fields["actuator_forcerange"][ids] = (limit[..., None] * self._range).float()

    def _write_inertia(self, ids: Tensor) -> None:
        values = {name: self.values[name][ids] for name in _INERTIAL}
        constants, fields = self._constants, self._fields
        base, armature, factor = loaded(constants.base, values), values["joint_armature"], values["link_mass_factor"]
        fields["body_mass"][ids, self._base] = base.mass.float()
        fields["body_ipos"][ids, self._base] = base.com.float()
        # Where nothing shapes a base its moments of inertia are the nominal ones, to the last bit.
        shaped = is_shaped(values)[:, None]
        moments, turn = principal(base.inertia)
        fields["body_inertia"][ids, self._base] = torch.where(shaped, moments, self._inertia).float()
        # Warp's quaternions of a model are MuJoCo's, w first.
        fields["body_iquat"][ids, self._base] = torch.where(shaped, turn, self._turn).float()
        rows = ids[:, None]
        fields["body_mass"][rows, self._links] = (factor * self._link_mass).float()
        fields["body_inertia"][rows, self._links] = (factor[..., None] * self._link_inertia).float()
        fields["dof_armature"][ids, self._joints] = armature.float()
        fields["body_subtreemass"][ids] = constants.subtree_mass(base, factor).float()
        inertia = constants.inertia(base, factor, armature)
        inverse = torch.linalg.inv_ex(inertia).inverse  # `inv` would wait for the device to tell whether it failed
        fields["dof_invweight0"][ids] = constants.dof_inverse_weight(inverse).float()
        fields["body_invweight0"][ids] = constants.body_inverse_weight(inverse, base).float()
        self._meaninertia[ids] = inertia.diagonal(dim1=1, dim2=2).mean(dim=1).float()


class _Constants:
    """What `mj_setConst` derives from masses, centres of mass and inertias, in closed form for many worlds.

    A body of mass m and inertia I, whose centre of mass has the Jacobians J and R (of translation and rotation), adds
    m J^T J + R^T I R to the joint-space inertia matrix. So that of a world is the nominal one, and what the base and
    the links add more or less than in that, and the change of armature on its diagonal. All at the model's reference
    pose; float64, since light joints hang from heavy bases.
    """

    def __init__(
        self, model: mujoco.MjModel, base: int, links: np.ndarray, joints: slice, device: torch.device
    ) -> None:
        data = mujoco.MjData(model)
        data.qpos[:] = model.qpos0
        mujoco.mj_forward(model, data)
        inertia = np.zeros((model.nv, model.nv))
        mujoco.mj_fullM(model, data, inertia)
        jacobians = np.zeros((model.nbody, 2, 3, model.nv))  # of centres of mass: translation, rotation
        for body in range(model.nbody):
            mujoco.mj_jacBodyCom(model, data, jacobians[body, 0], jacobians[body, 1], body)

        def constant(values: np.ndarray) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)

        def own(body: int) -> np.ndarray:
            """(nv, nv), what a body adds to the matrix."""
            moving, turning = jacobians[body]
            axes = data.ximat[body].reshape(3, 3)
            tensor = axes @ np.diag(model.body_inertia[body]) @ axes.T
            return model.body_mass[body] * moving.T @ moving + turning.T @ tensor @ turning

        nominal = base_of(model, base)
        self.base = Body(*(value.to(device) for value in (nominal.mass, nominal.com, nominal.inertia)))
        self._number, self._joints = base, joints
        self._rotation = constant(data.xmat[base].reshape(3, 3))
        self._jacobians = constant(jacobians)
        self._without_base = constant(inertia - own(base))
        self._links = constant(np.stack([own(body) for body in links]))
        self._armature = constant(model.dof_armature[joints])
        self._subtree_mass = constant(model.body_subtreemass)
        self._base_ancestors = constant(_ancestors(model, base))
        ancestors = np.stack([_ancestors(model, body) for body in links])
        self._link_masses = constant(model.body_mass[links][:, None] * ancestors)
        self._moving = constant(model.body_weldid != 0)
        self._mean = constant(_averages(model))

    def subtree_mass(self, base: Body, factor: Tensor) -> Tensor:
        """(n, nbody) kg, of each body with all that hangs from it, under factors (n, J) on the links."""
        more = (base.mass - self.base.mass)[:, None] * self._base_ancestors
        return self._subtree_mass + more + (factor - 1.0) @ self._link_masses

    def inertia(self, base: Body, factor: Tensor, armature: Tensor) -> Tensor:
        """(n, nv, nv) joint-space inertia matrix."""
        moving, turning = self._base_jacobian(base), self._jacobians[self._number, 1]
        axes = self._rotation
        tensor = axes @ base.inertia @ axes.T
        matrix = self._without_base + base.mass[:, None, None] * moving.mT @ moving + turning.T @ tensor @ turning
        matrix = matrix + torch.einsum("nj,jvw->nvw", factor - 1.0, self._links)
        matrix.diagonal(dim1=1, dim2=2)[:, self._joints] += armature - self._armature
        return matrix

    def dof_inverse_weight(self, inverse: Tensor) -> Tensor:
        """(n, nv), from the inverse of the inertia matrix: its diagonal, averaged within a free or ball joint."""
        return inverse.diagonal(dim1=1, dim2=2) @ self._mean

    def body_inverse_weight(self, inverse: Tensor, base: Body) -> Tensor:
        """(n, nbody, 2): mean diagonal of J M^-1 J^T, translation and rotation; 0 for what does not move."""
        jacobians = self._jacobians.expand(len(inverse), -1, -1, -1, -1).clone()
        jacobians[:, self._number, 0] = self._base_jacobian(base)
        weight = torch.einsum("nbkiv,nvw,nbkiw->nbk", jacobians, inverse, jacobians) / 3.0
        return weight * self._moving[:, None]

    def _base_jacobian(self, base: Body) -> Tensor:
        """(n, 3, nv): a point shifted by d moves faster by w x d."""
        translation, rotation = self._jacobians[self._number]
        world = (base.com - self.base.com) @ self._rotation.T
        return translation + torch.linalg.cross(rotation.expand(len(world), -1, -1), world[..., None], dim=1)


def _ancestors(model: mujoco.MjModel, body: int) -> np.ndarray:
    """(nbody,) 1 for a body, what it hangs from, and the world; else 0."""
    found = np.zeros(model.nbody)
    while body:
        found[body] = 1.0
        body = model.body_parentid[body]
    found[0] = 1.0
    return found


def _averages(model: mujoco.MjModel) -> np.ndarray:
    """(nv, nv) matrix that averages over the three axes of translation, or rotation, of a free or ball joint."""
    mean = np.eye(model.nv)
    threes = {int(mujoco.mjtJoint.mjJNT_FREE): 2, int(mujoco.mjtJoint.mjJNT_BALL): 1}
    for joint in range(model.njnt):
        for three in range(threes.get(int(model.jnt_type[joint]), 0)):
            first = model.jnt_dofadr[joint] + 3 * three
            mean[first : first + 3, first : first + 3] = 1.0 / 3.0
    return mean
