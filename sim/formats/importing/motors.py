"""Limits, gains and rotors of motors that a file says nothing about."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from contract.rotations import quat_rotate
from sim.formats.importing.found import Found, Guess, Motor, of_joints
from sim.formats.importing.stance import Leg, on_the_origin
from sim.formats.links import Array, Link
from sim.formats.tree import RobotTree

_GRAVITY = 9.81  # m/s^2
_VELOCITY = {"hinge": 20.0, "slide": 2.0}  # rad/s, m/s
_RESERVE = 2.0  # effort limit / effort that gravity asks for
_LEAST_EFFORT = 0.1  # N m or N
_FULL_EFFORT_AT = {"hinge": 1.0, "slide": 0.1}  # rad, m: the error at which a motor gives all it has
_OWN_FREQUENCY = 20.0  # rad/s, at least, of the links on a motor that holds them
_DAMPING_RATIO = 0.5
_ARMATURE = 4e-4  # kg m^2 a N m of effort limit; a Unitree Go2 has 0.01 for 23.7


def complete_motors(
    tree: RobotTree, found: Found, pose: Array, standing: Sequence[Leg], guesses: list[Guess]
) -> tuple[list[Motor], RobotTree]:
    """A motor for each joint, in order, and the tree with the rotors of those that the file could not give any."""
    loads, inertias = _loads(tree, pose, standing)
    armature = {joint.name: joint.armature for joint in tree.joints}
    motors = []
    silent: dict[str, list[str]] = {"velocity limit": [], "effort limit": [], "kp": [], "kd": [], "armature": []}
    for i, joint in enumerate(tree.joints):
        motor = found.motors[joint.name]
        if motor.velocity_limit is None:
            silent["velocity limit"].append(joint.name)
            motor = replace(motor, velocity_limit=_VELOCITY[joint.kind])
        if motor.passive:
            motors.append(replace(motor, effort_limit=0.0, kp=0.0, kd=0.0))
            continue
        if motor.effort_limit is None:
            silent["effort limit"].append(joint.name)
            motor = replace(motor, effort_limit=_rounded(max(_RESERVE * loads[i], _LEAST_EFFORT)))
        effort = motor.effort_limit or 0.0
        if not found.armature and joint.kind == "hinge":
            silent["armature"].append(joint.name)
            armature[joint.name] = _rounded(_ARMATURE * effort)
        inertia = inertias[i] + armature[joint.name]
        if motor.kp is None:
            silent["kp"].append(joint.name)
            motor = replace(motor, kp=_rounded(max(effort / _FULL_EFFORT_AT[joint.kind], inertia * _OWN_FREQUENCY**2)))
        if motor.kd is None:
            silent["kd"].append(joint.name)
            motor = replace(motor, kd=_rounded(2.0 * _DAMPING_RATIO * np.sqrt((motor.kp or 0.0) * inertia)))
        motors.append(motor)
    rules = {
        "velocity limit": ("20 rad/s or 2 m/s", "the file does not say"),
        "effort limit": ("twice what holds the limb against gravity", "the file does not say"),
        "kp": (
            "full effort at 1 rad or 0.1 m, or more where the limb alone then swings below 20 rad/s",
            "the file has no position servo",
        ),
        "kd": ("half critical damping of the limb alone", "the file has no position servo"),
        "armature": ("0.0004 kg m^2 a N m of effort limit", "URDF cannot say"),
    }
    for what, names in silent.items():
        if names:
            guesses.append(Guess(of_joints(what, names, tree), *rules[what]))
    links = [
        replace(link, joint=replace(link.joint, armature=armature[link.joint.name])) if link.joint.moves else link
        for link in tree.links
    ]
    return motors, replace(tree, links=tuple(links))


def _loads(tree: RobotTree, pose: Array, standing: Sequence[Leg]) -> tuple[Array, Array]:
    """For each joint, what gravity asks of it (N m or N) and the inertia of the links on it (kg m^2 or kg).

    A limb in the air is held stretched out level. Of a robot on legs half of them carry it, each joint of a leg at a
    lever of half its distance to the foot.
    """
    poses = on_the_origin(tree, pose)
    weight = _GRAVITY * sum(link.mass for link in tree.links)
    feet = {i: poses[leg.link.name].point(leg.geom.pose.pos) for leg in standing for i in leg.joints}
    moving = [link for link in tree.links if link.joint.moves]
    loads, inertias = np.zeros(len(moving)), np.zeros(len(moving))
    for i, link in enumerate(moving):
        anchor = poses[link.name].point(link.joint.anchor)
        axis = quat_rotate(poses[link.name].quat, link.joint.axis)
        limb = tuple(_limb(tree, link))
        mass = sum(part.mass for part in limb)
        if link.joint.kind == "slide":
            loads[i], inertias[i] = _GRAVITY * mass, mass
        else:
            for part in limb:
                arm = poses[part.name].point(part.com) - anchor
                loads[i] += _GRAVITY * part.mass * float(np.linalg.norm(arm))
                across = arm - axis * float(arm @ axis)
                local = quat_rotate(poses[part.name].inverse().quat, axis)
                inertias[i] += part.mass * float(across @ across) + float(local @ part.inertia @ local)
        if i in feet:
            share = weight / max(1.0, 0.5 * len(standing))
            lever = 0.5 * float(np.linalg.norm(feet[i] - anchor)) if link.joint.kind == "hinge" else 1.0
            loads[i] = max(loads[i], share * lever)
    return loads, inertias


def _limb(tree: RobotTree, link: Link) -> Iterator[Link]:
    """A link and all that hangs on it."""
    names = {link.name}
    for other in tree.links:  # parents come first
        if other.parent in names:
            names.add(other.name)
        if other.name in names:
            yield other


def _rounded(value: float) -> float:
    """To three digits: a guess should look like one."""
    return float(f"{value:.3g}")
