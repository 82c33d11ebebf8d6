"""Masses and inertias: principal axes, and links without a joint made one with their parents."""

from dataclasses import replace

import mujoco
import numpy as np

from contract.rotations import quat_to_matrix
from sim.formats.links import Array, Link, Pose, Site
from sim.formats.tree import RobotTree

_SMALLEST = 0.03  # m: a body whose inertia is impossible is taken for a ball of this radius, if not for a larger one


def principal(tensor: Array) -> tuple[Array, Array]:
    """Moments (3,) and rotation (4,) of a symmetric tensor (3, 3): tensor = R diag(moments) R^T."""
    moments, axes = np.linalg.eigh(tensor)
    if np.linalg.det(axes) < 0.0:
        axes[:, 0] *= -1.0
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(axes).ravel())
    return moments, quat / np.linalg.norm(quat)


def possible(moments: Array) -> bool:
    """Whether a body can have these principal moments: positive, none above the sum of the others."""
    return bool(np.all(moments > 0.0) and 2.0 * np.max(moments) <= np.sum(moments) * (1.0 + 1e-9))


def ball(mass: float, moments: Array) -> Array:
    """Equal moments (3,) for a body whose own are impossible."""
    return np.full(3, max(float(np.mean(moments)), 0.4 * mass * _SMALLEST**2))


def merged(tree: RobotTree) -> RobotTree:
    """The same robot with every link that has no joint made part of its parent, which gets a site of its name.

    Mass, centre of mass and inertia are those of the whole. A bolted base stays a link.
    """
    holder: dict[str, tuple[str, Pose]] = {}  # where each link ends up, and its frame there
    parts: dict[str, list[tuple[Link, Pose]]] = {}
    for link in tree.links:
        if link.joint.kind == "fixed" and link.parent:
            name, pose = holder[link.parent]
            holder[link.name] = (name, pose @ link.joint.origin)
        else:
            holder[link.name] = (link.name, Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
        name, pose = holder[link.name]
        parts.setdefault(name, []).append((link, pose))

    def placed(link: Link) -> Link:
        whole = _joined(link, parts[link.name])
        if not link.parent:
            return whole
        parent, pose = holder[link.parent]
        return replace(whole, parent=parent, joint=replace(link.joint, origin=pose @ link.joint.origin))

    return replace(tree, links=tuple(placed(link) for link in tree.links if link.name in parts))


def _joined(link: Link, parts: list[tuple[Link, Pose]]) -> Link:
    """`link` with all its parts, itself among them, each with its frame in the link's."""
    if len(parts) == 1:
        return link
    mass = sum(part.mass for part, _ in parts)
    com, tensor = link.com, np.zeros((3, 3))
    if mass:
        com = sum((part.mass * pose.point(part.com) for part, pose in parts), np.zeros(3)) / mass
    for part, pose in parts:
        turn, arm = quat_to_matrix(pose.quat), pose.point(part.com) - com
        tensor += turn @ part.inertia @ turn.T + part.mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    moments, quat = principal(tensor)
    return replace(
        link,
        mass=mass,
        com=com,
        principal_inertia=moments,
        principal_quat=quat,
        geoms=tuple(replace(geom, pose=pose @ geom.pose) for part, pose in parts for geom in part.geoms),
        sites=tuple(site for part, pose in parts for site in _frames(link, part, pose)),
    )


def _frames(link: Link, part: Link, pose: Pose) -> list[Site]:
    own = [] if part is link else [Site(part.name, pose)]
    return [*own, *(Site(site.name, pose @ site.pose) for site in part.sites)]
