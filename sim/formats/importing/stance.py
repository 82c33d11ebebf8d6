"""How a robot stands: its feet, a pose on bent legs, and its height, all from geometry."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco.minimize
import numpy as np

from contract.rotations import quat_to_matrix
from sim.formats.links import Array, Geom, Link, Pose, TreeJoint
from sim.formats.tree import RobotTree

_FOOT = re.compile(r"foot|feet|toe|sole|ankle|paw|wheel", re.IGNORECASE)
_SAME_HEIGHT = 0.1  # of the robot's height, between feet that stand on one ground
_EXTENSION = 0.75  # of the leg's length, from its second joint to the foot, that a standing leg reaches down
_MARGIN = 0.05  # rad or m, kept from the limits
_REACHED = 0.03  # m, from where the foot should be
_BENT = 0.7  # rad, of the joint before a leg's last, where the search for a pose starts; the last bends twice as far


@dataclass(frozen=True, eq=False)
class Leg:
    """A chain of joints to a shape that stands on the ground."""

    link: Link
    geom: Geom
    joints: tuple[int, ...]  # indices, from the base outward


def lowest(geom: Geom, link: Pose) -> float:
    """Height in m of a shape's lowest point, its link's frame being `link` in the world."""
    pose = link @ geom.pose
    z, down = float(pose.pos[2]), np.abs(quat_to_matrix(pose.quat)[2])
    if geom.shape == "box":
        return z - float(down @ np.array(geom.size))
    radius, half_length = (*geom.size, 0.0)[:2]
    if geom.shape == "cylinder":
        return z - float(down[2] * half_length + np.hypot(down[0], down[1]) * radius)
    return z - float(down[2] * half_length + radius)


def height(tree: RobotTree, joint_pos: Array) -> float:
    """Height in m of the base's origin when the lowest shape touches flat ground; 0 where nothing collides."""
    poses = on_the_origin(tree, joint_pos)
    bottoms = [lowest(geom, poses[link.name]) for link in tree.links for geom in link.geoms if geom.collides]
    return -min(bottoms, default=0.0)


def legs(tree: RobotTree, joint_pos: Array) -> list[Leg]:
    """The chains that end on the ground in a pose: those whose end is called a foot, else those that reach lowest."""
    poses = on_the_origin(tree, joint_pos)
    parents = {link.parent for link in tree.links}
    ends: dict[str, tuple[Link, Geom, float]] = {}
    for link in tree.links:
        solid = [geom for geom in link.geoms if geom.collides]
        if link.parent and link.name not in parents and solid:
            called = [geom for geom in solid if _FOOT.search(geom.name)] or solid
            low, _, geom = min((lowest(geom, poses[link.name]), i, geom) for i, geom in enumerate(called))
            ends[link.name] = link, geom, low
    feet = [name for name, (_, geom, _) in ends.items() if _FOOT.search(name) or _FOOT.search(geom.name)]
    if not feet:
        ground = min((low for _, _, low in ends.values()), default=0.0)
        feet = [name for name, (_, _, low) in ends.items() if low < 0.0 and low <= ground * (1.0 - _SAME_HEIGHT)]
    return [Leg(ends[name][0], ends[name][1], chain(tree, ends[name][0])) for name in feet]


def limits(joints: Sequence[TreeJoint]) -> tuple[Array, Array]:
    """Lower and upper limits, (num_joints,) each."""
    return np.array([joint.lower for joint in joints]), np.array([joint.upper for joint in joints])


def bounded(joints: Sequence[TreeJoint]) -> tuple[Array, Array]:
    """Limits (num_joints,) with a margin, which a narrow joint does not have."""
    lower, upper = limits(joints)
    margin = np.minimum(_MARGIN, 0.25 * (upper - lower))
    return lower + margin, upper - margin


def neutral(tree: RobotTree) -> Array:
    """Every joint at zero, or in the middle of its range where that leaves zero out."""
    lower, upper = bounded(tree.joints)
    middle = 0.5 * (lower + upper)
    return np.where((lower <= 0.0) & (upper >= 0.0), 0.0, middle)


def bent(tree: RobotTree, found: Sequence[Leg]) -> Array | None:
    """A pose whose feet are under their hips at three quarters of each leg's reach; None where there is none.

    For robots of three legs and more, of two to four joints each: others stand otherwise.
    """
    if len(found) < 3 or any(not 2 <= len(leg.joints) <= 4 for leg in found):
        return None
    pose = neutral(tree)
    for leg in found:
        solved = _bend(tree, leg, pose)
        if solved is None:
            return None
        pose[list(leg.joints)] = solved
    return pose


def _bend(tree: RobotTree, leg: Leg, start: Array) -> Array | None:
    indices = list(leg.joints)
    moving = [link.joint for link in tree.links if link.joint.moves]
    joints = [moving[i] for i in indices]
    lower, upper = (bound[indices] for bound in bounded(tree.joints))

    def frames(q: Array) -> list[Pose]:
        """Of the leg's links in the base's; nothing between them moves."""
        made = [Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))]
        for joint, position in zip(joints, q, strict=True):
            made.append(made[-1] @ joint.pose(float(position)))
        return made[1:]

    def tip(q: Array) -> Array:
        return frames(q)[-1].point(leg.geom.pose.pos)

    anchors = [pose.point(joint.anchor) for pose, joint in zip(frames(start[indices]), joints, strict=True)]
    foot = tip(start[indices])
    reach = sum(float(np.linalg.norm(b - a)) for a, b in zip(anchors[1:], [*anchors[2:], foot], strict=True))
    goal = np.array([anchors[0][0], foot[1], anchors[1][2] - _EXTENSION * reach])

    def residual(q: Array) -> Array:
        """Of one candidate (n,), or of the columns of (n, candidates)."""
        if q.ndim == 2:
            return np.stack([residual(column) for column in q.T], axis=1)
        return np.concatenate([10.0 * (tip(q) - goal), 0.05 * (q - start[indices])])

    best: tuple[float, Array] | None = None
    for side in (1.0, -1.0):
        first = start[indices].copy()
        first[-2:] += side * _BENT * np.array([1.0, -2.0])
        solved, _ = mujoco.minimize.least_squares(
            np.clip(first, lower, upper),
            residual,
            (lower, upper),
            verbose=mujoco.minimize.Verbosity.SILENT,
        )
        error = float(np.linalg.norm(residual(solved)[:3]) / 10.0)
        if error < _REACHED and (best is None or error < 0.5 * best[0]):
            best = error, np.round(solved, 3) + 0.0  # no -0.0
    return best[1] if best else None


def chain(tree: RobotTree, link: Link) -> tuple[int, ...]:
    """Indices of the joints between the base and a link, from the base outward."""
    by_name = {other.name: other for other in tree.links}
    numbers = {joint.name: i for i, joint in enumerate(tree.joints)}
    chain: list[int] = []
    while link.parent:
        if link.joint.moves:
            chain.insert(0, numbers[link.joint.name])
        link = by_name[link.parent]
    return tuple(chain)


def on_the_origin(tree: RobotTree, joint_pos: Array) -> dict[str, Pose]:
    """Frames of the links in that of a level base."""
    poses = tree.world_poses(joint_pos)
    back = poses[tree.base.name].inverse()
    return {name: back @ pose for name, pose in poses.items()}
