"""Physical parameters of the environments of `mujoco_cpu`, written into one MuJoCo model each."""

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Parameter
from sim.engines.inertia import OF_THE_BASE, Body, check_mass, is_shaped, loaded
from sim.engines.mujoco_model import MujocoModel
from sim.engines.parameters import Nominal, parameters

Array = NDArray[np.float64]

_MOTOR = {"motor_strength", "battery_sag", "kp_factor", "kd_factor"}  # written together
_FRICTION = {"friction", "foot_friction_factor"}
_INERTIAL = {*OF_THE_BASE, "link_mass_factor", "joint_armature"}


class ModelParameters:
    """Parameter values, and the models that they are written into.

    Args:
        robot: whose parameters they are.
        built: its model, whose values are nominal.
        models: of the environments.
        known: what may be set.

    Attributes:
        values: present values by name, (N, size) each.
    """

    def __init__(
        self,
        robot: Robot,
        built: MujocoModel,
        models: Sequence[mujoco.MjModel],
        known: Mapping[str, Parameter],
    ) -> None:
        model = built.model
        self._models, self._nominal = models, model
        self._scratch = mujoco.MjData(model)
        self._base = model.body(robot.base_body).id
        self._geoms = [model.geom(name).id for name in built.contact_geoms]
        self._feet = [model.geom(foot.geom).id for foot in robot.feet]
        self._dofs = slice(model.nv - robot.num_joints, model.nv)
        joints = [model.joint(name) for name in robot.joint_names]
        self._ranges = np.array([joint.id for joint in joints])
        self._links = np.array([int(model.jnt_bodyid[i]) for i in self._ranges])
        self._boxes = slice(
            model.body_bvhadr[self._base], model.body_bvhadr[self._base] + model.body_bvhnum[self._base]
        )
        self._axes = _matrix(model.body_iquat[self._base])  # of the base's frame of inertia
        self._body = base_of(model, self._base)
        self.values: dict[str, Array] = {
            name: np.broadcast_to(np.asarray(p.nominal, np.float64), (len(models), p.size)).copy()
            for name, p in known.items()
        }

    def set(self, rows: Array, values: Mapping[str, Tensor]) -> None:
        """Set parameters by name, (n, size) each, in the environments `rows` (n,).

        Raises:
            UsageError: there is no such parameter, or no such body.
        """
        unknown = sorted(set(values) - set(self.values))
        if unknown:
            raise UsageError(
                f"engine mujoco_cpu has no parameter '{unknown[0]}'; it has {', '.join(sorted(self.values))}"
            )
        for name, value in values.items():
            self.values[name][rows] = value.double().numpy()
        if not set(OF_THE_BASE).isdisjoint(values):
            self._write_bases(rows)
        inertial, motor = not _INERTIAL.isdisjoint(values), not _MOTOR.isdisjoint(values)
        rest = [name for name in values if name in _WRITERS]
        for row in rows.tolist():
            for name in rest:
                _WRITERS[name](self, self._models[row], self.values[name][row])
            if not _FRICTION.isdisjoint(values):
                self._write_friction(row)
            if motor:
                self._write_motors(row)
            if inertial:  # MuJoCo derives constraint scales from masses
                mujoco.mj_setConst(self._models[row], self._scratch)

    def _write_bases(self, rows: Array) -> None:
        """Mass, centre of mass and inertia of the bases; nominal inertias to the last bit where nothing shapes them."""
        values = {name: torch.from_numpy(self.values[name][rows]) for name in OF_THE_BASE}
        body, shaped = loaded(self._body, values), is_shaped(values).numpy()
        check_mass(body)
        masses, centres = body.mass.numpy(), body.com.numpy()
        inertias = body.inertia.numpy()
        base, nominal = self._base, self._nominal
        for i, row in enumerate(rows.tolist()):
            model = self._models[row]
            model.body_mass[base] = masses[i]
            model.body_ipos[base] = centres[i]
            if shaped[i]:
                moments, turn = np.empty(3), np.empty(4)
                mujoco.mju_eig3(moments, np.empty(9), turn, inertias[i].ravel())
                model.body_inertia[base], model.body_iquat[base] = moments, turn
            else:
                model.body_inertia[base], model.body_iquat[base] = nominal.body_inertia[base], nominal.body_iquat[base]
            moved = shaped[i] or (centres[i] != nominal.body_ipos[base]).any()
            # Where it says that the frame of inertia is the body's, MuJoCo does not look at where it is.
            none = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
            model.body_sameframe[base] = none if moved else nominal.body_sameframe[base]
            self._move_boxes(model)

    def _move_boxes(self, model: mujoco.MjModel) -> None:
        """MuJoCo looks for contacts within boxes that it keeps in the frame of inertia, which has just moved."""
        base, boxes, nominal = self._base, self._boxes, self._nominal
        turned = _matrix(model.body_iquat[base]).T
        shift = model.body_ipos[base] - nominal.body_ipos[base]
        change = turned @ self._axes
        model.bvh_aabb[boxes, :3] = nominal.bvh_aabb[boxes, :3] @ change.T - turned @ shift
        model.bvh_aabb[boxes, 3:] = nominal.bvh_aabb[boxes, 3:] @ np.abs(change).T  # a box around the turned box

    def _write_friction(self, row: int) -> None:
        friction = self._models[row].geom_friction
        friction[self._geoms, 0] = self.values["friction"][row]
        if self._feet:
            friction[self._feet, 0] *= self.values["foot_friction_factor"][row]

    def _write_motors(self, row: int) -> None:
        """A weak motor gives `motor_strength` times the torque that the servo asks for, saturation included.

        A weak battery lowers the saturation alone.
        """
        model, nominal, values = self._models[row], self._nominal, self.values
        strength = values["motor_strength"][row]
        kp = strength * values["kp_factor"][row] * nominal.actuator_gainprm[:, 0]
        model.actuator_gainprm[:, 0] = kp
        model.actuator_biasprm[:, 1] = -kp
        model.actuator_biasprm[:, 2] = strength * values["kd_factor"][row] * nominal.actuator_biasprm[:, 2]
        limit = strength * (1.0 - values["battery_sag"][row])
        model.actuator_forcerange[:] = limit[:, None] * nominal.actuator_forcerange

    def _write_links(self, model: mujoco.MjModel, factor: Array) -> None:
        model.body_mass[self._links] = factor * self._nominal.body_mass[self._links]
        model.body_inertia[self._links] = factor[:, None] * self._nominal.body_inertia[self._links]

    def _write_stops(self, model: mujoco.MjModel, margin: Array) -> None:
        inwards = np.stack([margin, -margin], axis=1)
        model.jnt_range[self._ranges] = self._nominal.jnt_range[self._ranges] + inwards

    def _write_gravity(self, model: mujoco.MjModel, offset: Array) -> None:
        model.opt.gravity[:] = self._nominal.opt.gravity + offset

    def _write_joint_friction(self, model: mujoco.MjModel, value: Array) -> None:
        model.dof_frictionloss[self._dofs] = value

    def _write_damping(self, model: mujoco.MjModel, value: Array) -> None:
        model.dof_damping[self._dofs] = value

    def _write_armature(self, model: mujoco.MjModel, value: Array) -> None:
        model.dof_armature[self._dofs] = value


# What depends on one parameter alone.
_WRITERS = {
    "link_mass_factor": ModelParameters._write_links,
    "joint_stop_margin": ModelParameters._write_stops,
    "gravity_offset": ModelParameters._write_gravity,
    "joint_friction": ModelParameters._write_joint_friction,
    "joint_damping": ModelParameters._write_damping,
    "joint_armature": ModelParameters._write_armature,
}


def parameters_of(robot: Robot, built: MujocoModel) -> dict[str, Parameter]:
    """What may be set in each environment of an engine that runs this model."""
    model, joints = built.model, robot.num_joints

    def joint_values(values: np.ndarray) -> tuple[float, ...]:
        return tuple(float(v) for v in values[-joints:])

    touching = robot.feet[0].geom if robot.feet else next(iter(built.contact_geoms), None)
    nominal = Nominal(
        friction=float(model.geom(touching).friction[0]) if touching else 0.0,
        joint_friction=joint_values(model.dof_frictionloss),
        joint_damping=joint_values(model.dof_damping),
        joint_armature=joint_values(model.dof_armature),
    )
    return parameters(robot, nominal)


def base_of(model: mujoco.MjModel, base: int) -> Body:
    """The body number `base` as the model has it, one row."""
    axes = _matrix(model.body_iquat[base])
    inertia = axes @ np.diag(model.body_inertia[base]) @ axes.T
    figures = (model.body_mass[base], model.body_ipos[base].copy(), inertia)
    return Body(*(torch.as_tensor(figure, device="cpu")[None] for figure in figures))


def _matrix(quat: Array) -> Array:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)
