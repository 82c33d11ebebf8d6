"""A robot's facts in one typed object. Everything that knows a robot reads it from here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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
    """A point that is meant to touch the ground."""

    name: str
    body: str
    geom: str
    radius: float  # m


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

    def __post_init__(self) -> None:
        if not self.rest_pose:
            object.__setattr__(self, "rest_pose", tuple(j.default_pos for j in self.joints))

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
