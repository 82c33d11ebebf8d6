"""From a robot description to what PyBullet's worlds are built from."""

import math

import mujoco
import numpy as np

from contract.robot import Robot
from sim.engines.engine import Parameter
from sim.engines.parameters import RESTITUTION, Nominal
from sim.engines.parameters import parameters as known
from sim.engines.pybullet.spec import WorldSpec
from sim.engines.pybullet.urdf import one_geom_a_link
from sim.formats.tree import RobotTree
from sim.formats.urdf import to_urdf
from sim.terrains import Terrain

_LONGEST_SUBSTEP = 0.0025  # s
# Of a servo's own time scales; at 1 an explicit damper would stop its joint in one substep, at 2 it would explode.
_SHARE = 0.25


def build_spec(robot: Robot, tree: RobotTree, terrain: Terrain, physics_dt: float, decimation: int) -> WorldSpec:
    """What a process needs to build the robot's world.

    Raises:
        UsageError: the robot is no tree of hinges, slides and primitives; see `read_tree`.
    """
    urdf, carriers = one_geom_a_link(to_urdf(robot, "pybullet"))
    geoms = [geom for link in tree.at_joints().links for geom in link.geoms if geom.collides]
    names = [geom.name for geom in geoms]
    return WorldSpec(
        urdf=urdf,
        base=tree.base.name,
        joints=robot.joint_names,
        geom_links=tuple(carriers[geom.name] for geom in geoms),
        geom_friction=tuple(geom.friction[0] for geom in geoms),
        friction=nominal_friction(robot, tree),
        feet=tuple((names.index(f.geom), tuple(geoms[names.index(f.geom)].pose.pos.tolist())) for f in robot.feet),
        kp=robot.kp,
        kd=robot.kd,
        effort=robot.joint_effort_limit,
        stops=np.array([[joint.lower, joint.upper] for joint in tree.joints]),
        fixed_base=robot.fixed_base,
        ground=terrain.ground(),
        physics_dt=physics_dt,
        decimation=decimation,
        substeps=math.ceil(physics_dt / _longest_substep(robot, tree) - 1e-9),
    )


def nominal_friction(robot: Robot, tree: RobotTree) -> float:
    """Sliding friction of a foot, or of the first geom of a robot without feet; 0 where nothing collides."""
    friction = {geom.name: geom.friction[0] for link in tree.links for geom in link.geoms if geom.collides}
    return friction[robot.feet[0].geom] if robot.feet else next(iter(friction.values()), 0.0)


def parameters(robot: Robot, tree: RobotTree) -> dict[str, Parameter]:
    """What may be set per environment."""
    joints = tree.joints
    nominal = Nominal(
        friction=nominal_friction(robot, tree),
        joint_friction=tuple(joint.friction for joint in joints),
        joint_damping=tuple(joint.damping for joint in joints),
        joint_armature=tuple(joint.armature for joint in joints),
    )
    return {**known(robot, nominal), "restitution": RESTITUTION}


def _longest_substep(robot: Robot, tree: RobotTree) -> float:
    """Seconds for which a servo's torque may be held: Bullet's integrator knows nothing of gains and damping."""
    model = mujoco.MjModel.from_xml_path(str(robot.mjcf))
    data = mujoco.MjData(model)
    first = model.nv - robot.num_joints
    data.qpos[-robot.num_joints :] = robot.default_joint_pos
    mujoco.mj_forward(model, data)
    mass = np.empty((model.nv, model.nv))
    mujoco.mj_fullM(model, data, mass)
    inertia = 1.0 / np.diag(np.linalg.inv(mass))[first:]  # of each joint, all others free
    stiffness, damping = robot.kp, robot.kd + np.array([joint.damping for joint in tree.joints])
    rates = np.concatenate([np.sqrt(stiffness / inertia), damping / inertia])
    return min(_LONGEST_SUBSTEP, _SHARE / max(rates.max(), 1e-9))
