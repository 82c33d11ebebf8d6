"""A robot's facts in one typed object. Everything that knows a robot reads it from here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Joint:
    """One actuated joint: limits from the maker, default pose and gains of the position loop."""

    name: str
    lower: float  # rad
    upper: float  # rad
    velocity_limit: float  # rad/s
    effort_limit: float  # N m
    default_pos: float  # rad, the pose that a policy's targets are offsets from
    kp: float  # N m/rad
    kd: float  # N m s/rad


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
    """

    name: str
    title: str
    mjcf: Path
    base_body: str
    joints: tuple[Joint, ...]
    feet: tuple[Foot, ...]
    imu: ImuMount
    standing_height: float  # m, base above flat ground in the default pose
    rest_pose: tuple[float, ...]  # rad, folded on the ground
    mirror: Mirror
    sources: tuple[Source, ...]

    @property
    def num_joints(self) -> int:
        return len(self.joints)

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
