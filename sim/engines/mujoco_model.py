"""A MuJoCo model of a robot on a terrain, with the motors and sensors that an engine needs.

The robot's MJCF holds the robot alone. Here it gets ground, one position servo a joint with the robot's gains and
torque limits, and sensors for foot positions and the contact force on each collision geom.
"""

from dataclasses import dataclass

import mujoco

from contract.robot import Robot
from sim.engines.mujoco_ground import add_ground
from sim.terrains import FLAT, Terrain

COLLISION_GROUP = 3  # the group of collision geoms in every robot.xml

# Of every engine that solves MuJoCo's contacts, for `Capabilities.limits`.
LIMITS = (
    "Friction has a four-sided pyramid for a cone: in directions between its sides it is up to 29 % less.",
    "Contacts, joint stops and friction are soft: what sticks creeps, by 1 mm/s for each m/s^2 that is held back.",
)


@dataclass(frozen=True)
class SolverOptions:
    """Caps on MuJoCo's solver, which stops as soon as it has converged.

    A lower cap saves nothing measurable and invents energy: with 4 iterations a Go2 lying folded on its belly is
    thrown metres into the air. With 10 no step differs from one of 100 iterations.
    """

    iterations: int = 10
    ls_iterations: int = 20


@dataclass(frozen=True)
class MujocoModel:
    """A compiled model and where to find things in it."""

    model: mujoco.MjModel
    contact_geoms: tuple[str, ...]
    contact_slice: slice  # columns of sensordata: normal contact force on each contact geom
    foot_pos_slice: slice  # columns of sensordata: foot centres, world, 3 each
    torque_slice: slice  # columns of sensordata: motor torque of each joint


def build_model(
    robot: Robot, physics_dt: float, solver: SolverOptions | None = None, terrain: Terrain = FLAT
) -> MujocoModel:
    """Compile the robot on a terrain. `physics_dt` in s."""
    solver = solver or SolverOptions()
    spec = mujoco.MjSpec.from_file(str(robot.mjcf))
    spec.compiler.discardvisual = True  # nothing here is drawn
    option = spec.option
    option.timestep = physics_dt
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND  # one robot is one island: finding it costs time
    option.iterations = solver.iterations
    option.ls_iterations = solver.ls_iterations

    add_ground(spec, terrain.ground())
    contact_geoms = _add_touch_sensors(spec)
    for foot in robot.feet:
        _sensor(spec, f"{foot.name}_pos", mujoco.mjtSensor.mjSENS_FRAMEPOS, mujoco.mjtObj.mjOBJ_GEOM, foot.geom)
    for joint in robot.joints:
        _add_position_servo(spec, joint.name, joint.kp, joint.kd, joint.effort_limit)
        _sensor(
            spec,
            f"{joint.name}_torque",
            mujoco.mjtSensor.mjSENS_ACTUATORFRC,
            mujoco.mjtObj.mjOBJ_ACTUATOR,
            joint.name,
        )

    model = spec.compile()
    names = tuple(model.joint(i).name for i in range(0 if robot.fixed_base else 1, model.njnt))
    if names != robot.joint_names:
        raise ValueError(f"{robot.mjcf.name}: joints {names} are not those of the description, in order")
    contacts, feet = len(contact_geoms), 3 * len(robot.feet)
    return MujocoModel(
        model=model,
        contact_geoms=contact_geoms,
        contact_slice=slice(0, contacts),
        foot_pos_slice=slice(contacts, contacts + feet),
        torque_slice=slice(contacts + feet, contacts + feet + robot.num_joints),
    )


def _add_touch_sensors(spec: mujoco.MjSpec) -> tuple[str, ...]:
    """One touch sensor a collision geom: a site of the same shape, a little larger, on the same body."""
    names = []
    for geom in [g for g in spec.geoms if g.group == COLLISION_GROUP]:
        geom.priority = 1
        site_name = f"{geom.name}_touch"
        site = geom.parent.add_site(name=site_name, type=geom.type, pos=geom.pos, quat=geom.quat)
        site.size = [s + 0.005 if s > 0 else 0.0 for s in geom.size]
        if geom.fromto[0] == geom.fromto[0]:  # NaN where pos and quat say it
            site.fromto = geom.fromto
        _sensor(spec, site_name, mujoco.mjtSensor.mjSENS_TOUCH, mujoco.mjtObj.mjOBJ_SITE, site_name)
        names.append(geom.name)
    return tuple(names)


def _sensor(spec: mujoco.MjSpec, name: str, kind: int, object_kind: int, object_name: str) -> None:
    spec.add_sensor(name=name, type=kind, objtype=object_kind, objname=object_name)


def _add_position_servo(spec: mujoco.MjSpec, joint: str, kp: float, kd: float, effort_limit: float) -> None:
    """Torque = clip(kp (target - q) - kd qd, -effort_limit, effort_limit)"""
    actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    actuator.gainprm[0] = kp
    actuator.biasprm[1] = -kp
    actuator.biasprm[2] = -kd
    # A passive joint has a servo without gains, so that each joint has a column; MuJoCo takes no empty range.
    if effort_limit > 0.0:
        actuator.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
        actuator.forcerange = [-effort_limit, effort_limit]
    actuator.ctrllimited = mujoco.mjtLimited.mjLIMITED_FALSE
