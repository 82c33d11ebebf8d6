"""A robot's facts in one typed object. Everything that knows a robot reads it from here."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Joint:
    """One joint: limits from the maker, default pose and gains of the position loop.

    Units are those of a hinge. A slide has m for rad and N for N m. A joint without a motor is passive: its effort
    limit and gains are zero, and targets for it have no effect.
    """

    name: str
    lower: float  # rad
    upper: float  # rad
    velocity_limit: float  # rad/s
    effort_limit: float  # N m
    default_pos: float  # rad, the pose that a policy's targets are offsets from
    kp: float  # N m/rad
    kd: float  # N m s/rad
    kind: Literal["hinge", "slide"] = "hinge"

    def __post_init__(self) -> None:
        if self.effort_limit == 0.0 and not self.kp == self.kd == 0.0:
            raise ValueError(f"joint {self.name}: gains kp {self.kp} and kd {self.kd} need an effort_limit above 0")

    @property
    def passive(self) -> bool:
        """Whether the joint has no motor."""
        return self.effort_limit == 0.0


@dataclass(frozen=True)
class ImuMount:
    """Where the inertial unit sits: `quat` (w, x, y, z) turns IMU coordinates into body coordinates."""

    site: str
    body: str
    pos: tuple[float, float, float]  # m, in the body frame
    quat: tuple[float, float, float, float]


@dataclass(frozen=True)
class Foot:
    """A point that is meant to touch the ground.

    `link` and `pos` say where it is on a robot computer, which has no MJCF reader; `link` is empty where nobody wrote
    them down.
    """

    name: str
    body: str
    geom: str
    radius: float  # m
    link: str = ""  # the `Link` that it is fixed to
    pos: Point = (0.0, 0.0, 0.0)  # m, its centre in the frame of that link


@dataclass(frozen=True)
class Link:
    """What a joint moves. Its frame is the parent's, shifted by `pos`, turned by `quat`, then moved by the joint."""

    joint: str  # also the name of the link
    parent: str  # joint of the link that carries it; empty for the base
    pos: Point  # m, a point on the joint's axis, in the parent's frame
    axis: Point  # unit vector, in the frame of this link
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)  # w, x, y, z


@dataclass(frozen=True)
class Capsule:
    """A part of the robot's shape: all that is within `radius` of a segment. A sphere starts where it ends."""

    name: str
    link: str  # that it is fixed to; empty for the base
    start: Point  # m, in the frame of the link
    end: Point  # m
    radius: float  # m


@dataclass(frozen=True)
class Workspace:
    """The box that a point of the robot must stay in, e.g. a tool's tip."""

    link: str
    point: Point  # m, in the frame of the link
    lower: Point  # m, in the base frame, as is `upper`
    upper: Point


@dataclass(frozen=True)
class Source:
    """Where a figure comes from."""

    what: str
    where: str


@dataclass(frozen=True)
class Mirror:
    """Left-right symmetry: mirrored[i] = joint_sign[i] * original[joint_permutation[i]]; feet likewise, unsigned."""

    joint_permutation: tuple[int, ...]
    joint_sign: tuple[float, ...]
    foot_permutation: tuple[int, ...]


@dataclass(frozen=True)
class Robot:
    """A robot description: an MJCF file and the facts that MJCF cannot say.

    Joint arrays are `(num_joints,)` float64 in the order of the MJCF.

    Attributes:
        standing_height: m, base above flat ground in the default pose.
        sources: where the figures come from.
        feet: empty for a robot that does not walk.
        imu: None for a robot without one: nothing that reads an IMU then works.
        mirror: None for a robot whose two halves differ.
        rest_pose: rad, where the robot lies when it is off; the default pose where it is not given.
        fixed_base: the base is bolted to the world where the MJCF puts it, instead of floating.
        links: parents before children; empty where nobody wrote them down. What needs to know where the parts of the
            robot are without a simulator works only with them: the next three, and `base_height_minimum`.
        capsules: shape of the robot, as far as it can meet itself.
        capsule_pairs: names of capsules that must keep clear of each other.
        workspace: of an arm.
        base_height_minimum: m, of the base above the lowest foot, below which the robot no longer stands.
        power_limit: W, mechanical, of all joints together; what all of them can give at once where it is None.
        temperature_limit: degrees Celsius, at which the motors' own protection sets in.
        battery_minimum: charge from 0 to 1 that is needed to go on.
        foot_force_limit: N, on one foot.
    """

    name: str
    title: str
    mjcf: Path
    base_body: str
    joints: tuple[Joint, ...]
    standing_height: float
    sources: tuple[Source, ...]
    feet: tuple[Foot, ...] = ()
    imu: ImuMount | None = None
    mirror: Mirror | None = None
    rest_pose: tuple[float, ...] = ()
    fixed_base: bool = False
    links: tuple[Link, ...] = ()
    capsules: tuple[Capsule, ...] = ()
    capsule_pairs: tuple[tuple[str, str], ...] = ()
    workspace: Workspace | None = None
    base_height_minimum: float | None = None
    power_limit: float | None = None
    temperature_limit: float | None = None
    battery_minimum: float | None = None
    foot_force_limit: float | None = None

    def __post_init__(self) -> None:
        if not self.rest_pose:
            object.__setattr__(self, "rest_pose", tuple(j.default_pos for j in self.joints))
        for field, most in (
            ("power_limit", math.inf),
            ("temperature_limit", math.inf),
            ("foot_force_limit", math.inf),
            ("battery_minimum", 1.0),
            ("base_height_minimum", self.standing_height),
        ):
            value = getattr(self, field)
            if value is not None and not 0.0 < value < most:
                raise ValueError(f"robot {self.name}: {field}: must be above 0 and below {most:g}, got {value!r}")
        known = {"", *(link.joint for link in self.links)}
        for what, link in (
            *((f"capsule {capsule.name}", capsule.link) for capsule in self.capsules),
            *((f"foot {foot.name}", foot.link) for foot in self.feet),
            *((("workspace", self.workspace.link),) if self.workspace else ()),
        ):
            if link not in known:
                raise ValueError(f"robot {self.name}: {what}: links has no link {link!r}")
        named = {capsule.name for capsule in self.capsules}
        for name in (name for pair in self.capsule_pairs for name in pair):
            if name not in named:
                raise ValueError(f"robot {self.name}: capsule_pairs: there is no capsule {name!r}")

    @property
    def base_from_imu(self) -> tuple[float, float, float, float]:
        """Rotation (w, x, y, z) of the IMU's mount; identity for a robot without one."""
        return self.imu.quat if self.imu else (1.0, 0.0, 0.0, 0.0)

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def actuated(self) -> tuple[int, ...]:
        """Indices of the joints that have a motor."""
        return tuple(i for i, joint in enumerate(self.joints) if not joint.passive)

    @property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(j.name for j in self.joints)

    @property
    def legs(self) -> tuple[str, ...]:
        """Of each joint the one foot that hangs from it; empty where none or several do, or `links` are not known."""
        parents = {link.joint: link.parent for link in self.links}
        feet: dict[str, list[str]] = {name: [] for name in self.joint_names}
        for foot in self.feet:
            link = foot.link
            while link:
                feet[link].append(foot.name)
                link = parents[link]
        return tuple(names[0] if len(names) == 1 else "" for names in feet.values())

    @property
    def joint_lower(self) -> Array:
        return np.array([j.lower for j in self.joints])

    @property
    def joint_upper(self) -> Array:
        return np.array([j.upper for j in self.joints])

    @property
    def joint_velocity_limit(self) -> Array:
        return np.array([j.velocity_limit for j in self.joints])

    @property
    def joint_effort_limit(self) -> Array:
        return np.array([j.effort_limit for j in self.joints])

    @property
    def default_joint_pos(self) -> Array:
        return np.array([j.default_pos for j in self.joints])

    @property
    def kp(self) -> Array:
        return np.array([j.kp for j in self.joints])

    @property
    def kd(self) -> Array:
        return np.array([j.kd for j in self.joints])
