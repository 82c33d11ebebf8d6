"""Links and joints that belong to no engine: what `sim.formats.tree.RobotTree` is made of."""

from dataclasses import dataclass
from typing import Any, Literal

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from contract.rotations import quat_conjugate, quat_to_matrix

Array = NDArray[np.floating[Any]]
Shape = Literal["box", "sphere", "capsule", "cylinder"]
JointKind = Literal["hinge", "slide", "fixed", "free"]


@dataclass(frozen=True, eq=False)
class Pose:
    """A frame in another: `pos` (3,) m and `quat` (4,) as (w, x, y, z), which turns its vectors into the other's."""

    pos: Array
    quat: Array

    def __matmul__(self, inner: "Pose") -> "Pose":
        """`inner`, which is given in this frame, in the frame that this one is given in."""
        quat = np.empty(4)
        mujoco.mju_mulQuat(quat, self.quat, inner.quat)
        return Pose(self.point(inner.pos), quat)

    def point(self, point: ArrayLike) -> Array:
        """A point (3,) of this frame in the frame that it is given in."""
        return self.pos + _turned(self.quat, point)

    def inverse(self) -> "Pose":
        """The other frame in this one."""
        back = quat_conjugate(self.quat)
        return Pose(-_turned(back, self.pos), back)


@dataclass(frozen=True, eq=False)
class Geom:
    """A primitive on a link.

    Attributes:
        name: may be empty for one that does not collide.
        size: m; box: half lengths x, y, z; sphere: radius; capsule and cylinder: radius and half length along z,
            a capsule's without its caps.
        pose: in the link's frame.
        rgba: red, green, blue, opacity, 0 to 1.
        friction: sliding, torsional (m) and rolling (m) coefficient.
        collides: a collision shape; otherwise one that is only seen.
    """

    name: str
    shape: Shape
    size: tuple[float, ...]
    pose: Pose
    rgba: tuple[float, ...]
    friction: tuple[float, ...]
    collides: bool


@dataclass(frozen=True, eq=False)
class Site:
    """A named frame on a link, such as an IMU's."""

    name: str
    pose: Pose


@dataclass(frozen=True, eq=False)
class TreeJoint:
    """What holds a link to its parent, or the base to the world. Units are those of `contract.robot.Joint`.

    Attributes:
        name: empty for a fixed or free one that the MJCF does not name.
        kind: `fixed` for a link without a joint, `free` for a base that floats.
        origin: the link's frame in its parent's (the base's in the world) where the joint is at zero.
        axis: (3,) unit vector in the link's axes, which turn or slide along with it.
        anchor: (3,) m, a point of the axis, in the link's frame.
        lower, upper: rad or m; infinite where there is no limit.
        velocity_limit, effort_limit: rad/s, N m, from the robot's facts.
        damping: N m s/rad.
        friction: N m, dry.
        armature: kg m^2.
    """

    name: str
    kind: JointKind
    origin: Pose
    axis: Array
    anchor: Array
    lower: float = 0.0
    upper: float = 0.0
    velocity_limit: float = 0.0
    effort_limit: float = 0.0
    damping: float = 0.0
    friction: float = 0.0
    armature: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether it is one of the robot's joints."""
        return self.kind in ("hinge", "slide")

    def pose(self, q: float) -> Pose:
        """The link's frame in its parent's, at joint position `q`."""
        if self.kind == "slide":
            return self.origin @ Pose(q * self.axis, np.array([1.0, 0.0, 0.0, 0.0]))
        if self.kind == "hinge":
            turn = np.concatenate([[np.cos(0.5 * q)], np.sin(0.5 * q) * self.axis])
            return self.origin @ Pose(self.anchor - _turned(turn, self.anchor), turn)
        return self.origin


@dataclass(frozen=True, eq=False)
class Link:
    """A rigid body.

    Attributes:
        parent: name of the parent link; empty for the base.
        joint: to the parent.
        mass: kg; a bolted base may have none.
        com: (3,) m, centre of mass in the link's frame.
        inertia: (3, 3) kg m^2, about the centre of mass, in the link's axes.
        principal_inertia, principal_quat: the same as a diagonal (3,) in the axes that (4,) turns into the link's.
        geoms, sites: what it carries.
    """

    name: str
    parent: str
    joint: TreeJoint
    mass: float
    com: Array
    principal_inertia: Array
    principal_quat: Array
    geoms: tuple[Geom, ...]
    sites: tuple[Site, ...]

    @property
    def inertia(self) -> Array:
        """The tensor (3, 3) about the centre of mass, in the link's axes."""
        turn = quat_to_matrix(self.principal_quat)
        tensor: Array = turn @ np.diag(self.principal_inertia) @ turn.T
        return 0.5 * (tensor + tensor.T)


def _turned(quat: Array, vector: ArrayLike) -> Array:
    """One vector (3,) by MuJoCo's function: numpy's cross product is made for batches, and slow for one."""
    turned = np.empty(3)
    mujoco.mju_rotVecQuat(turned, np.asarray(vector, dtype=np.float64), quat)
    return turned
