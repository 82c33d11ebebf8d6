"""What a process must know to build and step PyBullet worlds, and the arrays that it shares with the engine."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.terrains.shapes import Ground

Array = NDArray[np.float64]

# A base that moves faster than this has diverged: no robot of ours falls or is thrown at such a speed.
MAX_SPEED = 100.0  # m/s and rad/s
MAX_JOINT_SPEED = 500.0  # rad/s

ROOT = 13  # numbers of a root's state, see `Batch`
BASE = 11  # numbers that say what a base weighs, see `Batch`


@dataclass(frozen=True, eq=False)
class WorldSpec:
    """One robot on its ground.

    Attributes:
        urdf: the undisturbed robot, its geoms on links as `sim.engines.pybullet.urdf.one_geom_a_link` puts them.
        base: name of the root link.
        joints: names, in the order of the robot description.
        geom_links: the link that carries each collision geom; `geom_friction` of each.
        friction: nominal value of the parameter of that name; at any other, all geoms have the parameter's.
        feet: the columns of the geoms that are feet, and their centres in their links' frames, m.
        kp, kd, effort: gains and torque limits, (J,).
        stops: (J, 2) ends of each joint's range; infinite where there is none.
        fixed_base: the base is bolted to the world.
        ground: what the robot stands on.
        physics_dt: s.
        decimation: physics steps a control period.
        substeps: of Bullet, a physics step.
    """

    urdf: str
    base: str
    joints: tuple[str, ...]
    geom_links: tuple[str, ...]
    geom_friction: tuple[float, ...]
    friction: float
    feet: tuple[tuple[int, tuple[float, float, float]], ...]
    kp: Array
    kd: Array
    effort: Array
    stops: Array
    fixed_base: bool
    ground: Ground
    physics_dt: float
    decimation: int
    substeps: int


@dataclass(frozen=True, eq=False)
class Batch:
    """Arrays of N environments.

    A state in Bullet's terms is (13 + 2 J,): position (3,) m and orientation (4,) as (x, y, z, w) of the principal
    frame of the base's inertia in the world, its linear and angular velocity (3,) and (3,) in the world, then joint
    positions and velocities.

    Attributes:
        state: (N, 13 + 2 J) in Bullet's terms: the start of the next control step.
        targets: (N, S, J) rad.
        states: (N, S, 13 + 2 J) after each physics step of the last control step.
        contact: (N, G) N, normal force on each geom, mean of the last physics step.
        torque: (N, J) N m, of the motors, at the start of the last physics step.
        feet: (N, 2, F, 3) m, world, at the start of the last physics step but one, and at that of the last.
        diverged: (N, 1), 1 where the last control step diverged, else 0.
        base: (N, 11), what the parameters make of the base: mass, centre of mass (3,) in its frame, principal moments
            of inertia (3,), and the quaternion (4,), w first, that turns their axes into its frame.
        parameters: those of `Capabilities.parameters`, (N, size) each.
    """

    state: Array
    targets: Array
    states: Array
    contact: Array
    torque: Array
    feet: Array
    diverged: Array
    base: Array
    parameters: Mapping[str, Array]


@dataclass(frozen=True)
class Layout:
    """Shapes of a batch's arrays, all float64, in one piece of memory.

    Attributes:
        arrays: name and shape of each but the parameters.
        parameters: name and shape of each.
    """

    arrays: Mapping[str, tuple[int, ...]]
    parameters: Mapping[str, tuple[int, ...]]

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return 8 * sum(math.prod(shape) for shape in (*self.arrays.values(), *self.parameters.values()))

    def view(self, memory: memoryview) -> Batch:
        """The arrays in `memory`, of `bytes`."""
        flat = np.frombuffer(memory, np.float64)

        def cut(shapes: Mapping[str, tuple[int, ...]], start: int) -> Iterator[tuple[str, Array]]:
            for name, shape in shapes.items():
                yield name, flat[start : start + math.prod(shape)].reshape(shape)
                start += math.prod(shape)

        taken = sum(math.prod(shape) for shape in self.arrays.values())
        return Batch(**dict(cut(self.arrays, 0)), parameters=dict(cut(self.parameters, taken)))


def layout(spec: WorldSpec, num_envs: int, sizes: Mapping[str, int]) -> Layout:
    """The arrays of `num_envs` environments whose parameters have these sizes."""
    joints, steps, size = len(spec.joints), spec.decimation, ROOT + 2 * len(spec.joints)
    return Layout(
        arrays={
            "state": (num_envs, size),
            "targets": (num_envs, steps, joints),
            "states": (num_envs, steps, size),
            "contact": (num_envs, len(spec.geom_links)),
            "torque": (num_envs, joints),
            "feet": (num_envs, 2, len(spec.feet), 3),
            "diverged": (num_envs, 1),
            "base": (num_envs, BASE),
        },
        parameters={name: (num_envs, size) for name, size in sizes.items()},
    )
