"""Bodies of a MuJoCo model as links."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import mujoco
import numpy as np

from contract.errors import UsageError
from sim.formats.links import Geom, JointKind, Link, Pose, Shape, Site, TreeJoint

COLLISION_GROUP, VISUAL_GROUP = 3, 2  # of geoms, in every robot.xml

_SHAPES: dict[int, tuple[Shape, int]] = {  # MuJoCo's type: name, and how many of its three sizes count
    int(mujoco.mjtGeom.mjGEOM_BOX): ("box", 3),
    int(mujoco.mjtGeom.mjGEOM_SPHERE): ("sphere", 1),
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): ("capsule", 2),
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): ("cylinder", 2),
}
_KINDS: dict[int, JointKind] = {int(mujoco.mjtJoint.mjJNT_HINGE): "hinge", int(mujoco.mjtJoint.mjJNT_SLIDE): "slide"}


def refuse_joints(model: mujoco.MjModel, refuse: Callable[[str], UsageError]) -> None:
    """Raise `refuse(what)` where a body has several joints, or one that is no hinge, slide or the base's free one."""
    for body in range(1, model.nbody):
        if model.body_jntnum[body] > 1:
            raise refuse(f"body '{model.body(body).name}' has {model.body_jntnum[body]} joints")
    for i in range(model.njnt):
        kind, body = int(model.jnt_type[i]), int(model.jnt_bodyid[i])
        if kind not in _KINDS and not (kind == mujoco.mjtJoint.mjJNT_FREE and model.body_parentid[body] == 0):
            raise refuse(f"joint '{model.joint(i).name}' is neither a hinge nor a slide")


def links_of(
    model: mujoco.MjModel, bodies: Iterable[int], geom: Callable[[mujoco.MjModel, int], Geom | None]
) -> tuple[Link, ...]:
    """Bodies of a model as links, a body of the world with no parent; velocity and effort limits are left at zero.

    Args:
        model: one joint a body at most.
        bodies: their numbers, parents first.
        geom: reads a geom by its number; None for one to leave out.
    """
    return tuple(_link(model, body, geom) for body in bodies)


def _link(model: mujoco.MjModel, body: int, geom: Callable[[mujoco.MjModel, int], Geom | None]) -> Link:
    parent, mass = int(model.body_parentid[body]), float(model.body_mass[body])
    first = int(model.body_geomadr[body])
    geoms = (geom(model, i) for i in range(first, first + int(model.body_geomnum[body])))
    return Link(
        name=model.body(body).name,
        parent=model.body(parent).name if parent else "",
        joint=_joint(model, body),
        mass=mass,
        com=model.body_ipos[body].copy() if mass else np.zeros(3),  # MuJoCo's is not, for a base without mass
        principal_inertia=model.body_inertia[body].copy(),
        principal_quat=model.body_iquat[body].copy(),
        geoms=tuple(made for made in geoms if made is not None),
        sites=tuple(
            Site(model.site(i).name, Pose(model.site_pos[i].copy(), model.site_quat[i].copy()))
            for i in range(model.nsite)
            if model.site_bodyid[i] == body
        ),
    )


def _joint(model: mujoco.MjModel, body: int) -> TreeJoint:
    placed = Pose(model.body_pos[body].copy(), model.body_quat[body].copy())
    nowhere, up = np.zeros(3), np.array([0.0, 0.0, 1.0])
    if not model.body_jntnum[body]:
        return TreeJoint("", "fixed", placed, up, nowhere)
    i = int(model.body_jntadr[body])
    if model.jnt_type[i] == mujoco.mjtJoint.mjJNT_FREE:
        return TreeJoint(model.joint(i).name, "free", placed, up, nowhere)
    dof = int(model.jnt_dofadr[i])
    lower, upper = model.jnt_range[i].tolist() if model.jnt_limited[i] else (-np.inf, np.inf)
    joint = TreeJoint(
        name=model.joint(i).name,
        kind=_KINDS[int(model.jnt_type[i])],
        origin=placed,
        axis=model.jnt_axis[i].copy(),
        anchor=model.jnt_pos[i].copy(),
        lower=lower,
        upper=upper,
        damping=float(model.dof_damping[dof]),
        friction=float(model.dof_frictionloss[dof]),
        armature=float(model.dof_armature[dof]),
    )
    # MuJoCo places bodies where their joints are at `ref`, other formats where they are at zero.
    return replace(joint, origin=joint.pose(-float(model.qpos0[model.jnt_qposadr[i]])))


def read_geom(model: mujoco.MjModel, i: int) -> Geom:
    """Geom number `i`, which must be a primitive."""
    shape, sizes = _SHAPES[int(model.geom_type[i])]
    return Geom(
        name=model.geom(i).name,
        shape=shape,
        size=tuple(float(size) for size in model.geom_size[i, :sizes]),
        pose=Pose(model.geom_pos[i].copy(), model.geom_quat[i].copy()),
        rgba=tuple(float(str(part)) for part in model.geom_rgba[i]),  # float32: 0.78, not 0.7799999713897705
        friction=tuple(float(part) for part in model.geom_friction[i]),
        collides=int(model.geom_group[i]) == COLLISION_GROUP,
    )


def is_primitive(model: mujoco.MjModel, i: int) -> bool:
    """Whether `read_geom` reads geom number `i`."""
    return int(model.geom_type[i]) in _SHAPES
