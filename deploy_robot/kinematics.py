"""Where the parts of a robot are and how close they come to each other, in numpy or torch, without a simulator.

Leading axes are free, as in `monitors`. Poses are in the base frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contract.robot import Link, Point, Robot
from contract.rotations import quat_to_matrix
from deploy_robot.arrays import Indices, Tensor, library_of, like, pick
from deploy_robot.driver import Array

# m^2: divides in place of zero where a segment is a point or two are parallel, and is lost in rounding elsewhere.
_TINY = 1e-12
# Out of two segments' four ends: a and b as vectors, and from the start of b to that of a.
_TO, _FROM = np.array([1, 3, 0]), np.array([0, 2, 2])
# Whose products are aa, bb, ab, the third with a, with b and with itself.
_ONE, _OTHER = np.array([0, 1, 0, 0, 1, 2]), np.array([0, 1, 1, 2, 2, 2])
_ADD_UP = np.ones(3)


@dataclass(frozen=True, eq=False)
class _Level:
    """Links that are equally far from the base: a stretch of all links, of which the base is the first."""

    links: slice
    parents: Indices  # which link of the level before carries each; the base does on the first level


class Skeleton:
    """Points that are fixed to the links of a robot.

    The rotation about an axis is Rodrigues' formula, R = 1 + sin(q) K + (1 - cos(q)) K^2, where K is the cross product
    with the axis. Poses are homogeneous matrices.

    Args:
        robot: with `links`.
        points: link (empty for the base) and position in its frame, m.

    Raises:
        ValueError: a link has no joint of the robot, or no way leads from it to the base.
    """

    def __init__(self, robot: Robot, points: Sequence[tuple[str, Point]]) -> None:
        self._levels: list[_Level] = []
        links: list[Link] = []  # level by level
        carriers = [""]
        while carriers:
            level = [link for link in robot.links if link.parent in carriers]
            parents = np.array([carriers.index(link.parent) for link in level])
            first = 1 + len(links)
            self._levels += [_Level(slice(first, first + len(level)), parents)] if level else []
            links += level
            carriers = [link.joint for link in level]
        lost = [link.joint for link in robot.links if link not in links or link.joint not in robot.joint_names]
        if lost:
            raise ValueError(f"robot {robot.name}: link {lost[0]}: not a joint, or no way leads from it to the base")
        joints = [robot.joint_names.index(link.joint) for link in links]
        hinges = [robot.joints[j].kind == "hinge" for j in joints]
        poses = [_pose(link, hinge) for link, hinge in zip(links, hinges, strict=True)]
        # The base is a link that stays where it is, whatever the first joint does. One NaN of it is a NaN of all.
        self._joints = np.array([0, *joints])
        poses = [np.stack([np.eye(4), *np.zeros((3, 4, 4))]), *poses]
        # What a link's pose in its parent's frame is at rest, and what sin(q), 1 - cos(q) and q add to it.
        self._rest, self._sine, self._versine, self._slide = np.stack(poses, axis=1)
        self._slides = not all(hinges)
        frames = ["", *(link.joint for link in links)]
        self._frames = np.array([frames.index(link) for link, _ in points])
        self._offsets = np.array([(*position, 1.0) for _, position in points])[..., None]

    def points(self, joint_pos: Tensor) -> Tensor:
        """Where the points are, (..., points, 3) m, for joint positions (..., num_joints)."""
        library = library_of(joint_pos)
        q = pick(joint_pos, self._joints, -1)[..., None, None]
        local = like(self._sine, q) * library.sin(q) + like(self._versine, q) * (1.0 - library.cos(q))
        local = local + like(self._rest, q)
        if self._slides:
            local = local + like(self._slide, q) * q
        level = local[..., self._levels[0].links, :, :]
        poses = [local[..., :1, :, :], level]
        for step in self._levels[1:]:
            level = pick(level, step.parents, -3) @ local[..., step.links, :, :]
            poses.append(level)
        frames = pick(library.concatenate(poses, -3), self._frames, -3)
        return (frames @ like(self._offsets, q))[..., :3, 0]


def _pose(link: Link, hinge: bool) -> Array:
    """Rest, sine, versine and slide of a link, (4, 4, 4)."""
    rotation = quat_to_matrix(link.quat)
    x, y, z = link.axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    pose = np.zeros((4, 4, 4))
    pose[0, :3, :3], pose[0, :3, 3], pose[0, 3, 3] = rotation, link.pos, 1.0
    if hinge:
        pose[1, :3, :3], pose[2, :3, :3] = rotation @ cross, rotation @ cross @ cross
    else:
        pose[3, :3, 3] = rotation @ link.axis
    return pose


def segment_distance(ends: Tensor) -> Tensor:
    """Distance between two segments, (...). One NaN makes it NaN.

    C. Ericson, "Real-Time Collision Detection", 2005, section 5.1.9, without its branches: the nearest point on b to
    the nearest on the line of a, and then the nearest on a to that.

    Args:
        ends: (..., 4, 3) start and end of segment a, start and end of segment b.
    """
    vectors = pick(ends, _TO, -2) - pick(ends, _FROM, -2)
    products = (pick(vectors, _ONE, -2) * pick(vectors, _OTHER, -2)) @ like(_ADD_UP, ends)
    aa, bb, ab = products[..., 0], products[..., 1], products[..., 2]
    a_apart, b_apart, apart = products[..., 3], products[..., 4], products[..., 5]
    # Neither the determinant nor the square is below zero but by rounding.
    s = _share((ab * b_apart - a_apart * bb) / (abs(aa * bb - ab * ab) + _TINY))
    t = _share((ab * s + b_apart) / (bb + _TINY))
    s = _share((ab * t - a_apart) / (aa + _TINY))
    squared = apart + s * (s * aa + 2.0 * (a_apart - t * ab)) + t * (t * bb - 2.0 * b_apart)
    return abs(squared) ** 0.5


def _share(values: Tensor) -> Tensor:
    """Cut back to 0 to 1. NaN stays NaN."""
    if isinstance(values, np.ndarray):
        return np.minimum(np.maximum(values, 0.0), 1.0)  # at half the cost of the method, for so few numbers
    return values.clip(0.0, 1.0)
