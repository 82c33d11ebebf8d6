"""The parameters of engines: one table of names, sizes, units and meanings, of which each engine declares its part."""

from dataclasses import dataclass

from contract.robot import Robot
from sim.engines.engine import Parameter

Values = tuple[float, ...]


@dataclass(frozen=True)
class Nominal:
    """What the description of a robot says of it; joint tuples have one entry a joint."""

    friction: float
    joint_friction: Values
    joint_damping: Values
    joint_armature: Values


def parameters(robot: Robot, nominal: Nominal) -> dict[str, Parameter]:
    """All parameters that an engine may have, but for those of `SOME`."""
    joints, legs = robot.num_joints, robot.legs
    feet = tuple(foot.name for foot in robot.feet)
    known = {
        "friction": Parameter(1, "1", nominal.friction, "sliding friction, robot on ground"),
        "foot_friction_factor": Parameter(len(feet), "1", 1.0, "factor on the sliding friction of each foot", feet),
        "payload_mass": Parameter(1, "kg", 0.0, "mass added to the base, as a point"),
        "payload_pos": Parameter(3, "m", 0.0, "where the payload is, from the base's centre of mass, base frame"),
        "base_com": Parameter(3, "m", 0.0, "shift of the base's centre of mass, base frame"),
        "base_mass_factor": Parameter(1, "1", 1.0, "factor on mass and inertia of the base"),
        "base_stretch": Parameter(3, "1", 0.0, "logarithm of the stretch of the base's mass along its axes"),
        "base_shear": Parameter(3, "1", 0.0, "shear of the base's mass, x by y, x by z and y by z"),
        "link_mass_factor": Parameter(joints, "1", 1.0, "factor on mass and inertia of a joint's link", legs),
        "motor_strength": Parameter(joints, "1", 1.0, "torque given / torque asked for", legs),
        "battery_sag": Parameter(1, "1", 0.0, "share of all torque limits that a weak battery takes away"),
        "kp_factor": Parameter(joints, "1", 1.0, "factor on the position gain", legs),
        "kd_factor": Parameter(joints, "1", 1.0, "factor on the velocity gain", legs),
        "joint_friction": Parameter(joints, "N m", nominal.joint_friction, "Coulomb friction", legs),
        "joint_damping": Parameter(joints, "N m s/rad", nominal.joint_damping, "viscous friction", legs),
        "joint_armature": Parameter(joints, "kg m^2", nominal.joint_armature, "reflected rotor inertia", legs),
        "joint_stop_margin": Parameter(joints, "rad", 0.0, "how much earlier a joint's stops come, at both ends", legs),
        "gravity_offset": Parameter(3, "m/s^2", 0.0, "added to gravity, world"),
        "base_force": Parameter(3, "N", 0.0, "force on the base's centre of mass for as long as it is set, world"),
        "base_torque": Parameter(3, "N m", 0.0, "torque on the base for as long as it is set, world"),
    }
    return {name: parameter for name, parameter in known.items() if parameter.size}


# Of engines whose contacts can bounce.
RESTITUTION = Parameter(1, "1", 0.0, "speed after a collision with the ground / speed before, along the normal")
