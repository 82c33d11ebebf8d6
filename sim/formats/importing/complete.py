"""The rest of a robot's facts, guessed by rules that are written down, one `Guess` each."""

from dataclasses import dataclass, replace

import numpy as np

from contract.errors import UsageError
from contract.robot import Foot, ImuMount, Joint, Mirror
from sim.formats.importing.found import Found, Guess, of_joints
from sim.formats.importing.motors import complete_motors
from sim.formats.importing.rigid import ball, merged, possible
from sim.formats.importing.stance import Leg, bent, height, legs, limits, lowest, neutral, on_the_origin
from sim.formats.importing.symmetry import mirror
from sim.formats.links import Array, Pose, Site
from sim.formats.tree import RobotTree

IMU_SITE = "imu"
_ENDLESS = 1000.0  # rad or m


@dataclass(frozen=True, eq=False)
class Completed:
    """A robot with all its facts: the arguments of `contract.robot.Robot` that a file can give, and the links."""

    tree: RobotTree
    joints: tuple[Joint, ...]
    feet: tuple[Foot, ...]
    imu: ImuMount | None
    mirror: Mirror | None
    standing_height: float
    fixed_base: bool
    guesses: tuple[Guess, ...]


def complete(found: Found, fixed_base: bool | None = None) -> Completed:
    """Fill in what the file did not say.

    Args:
        found: what it did.
        fixed_base: whether the base is bolted, where the user knows better than the file.

    Raises:
        UsageError: there is no joint that moves, or a link that moves has no mass.
    """
    guesses = list(found.guesses)
    tree = merged(found.tree)
    if not tree.joints:
        raise UsageError(f"{tree.name}: has no joint that moves")
    bolted = _bolted(tree, found.fixed_base if fixed_base is None else fixed_base, guesses)
    base_joint = replace(tree.base.joint, kind="fixed" if bolted else "free", name="" if bolted else _root_name(tree))
    tree = replace(tree, links=(replace(tree.base, joint=base_joint), *tree.links[1:]))
    tree = _weighed(tree, guesses)
    tree = _limited(tree, guesses)
    tree = _with_shapes(tree, guesses)

    pose, standing = _stance(tree, found.default_pos, bolted, guesses)
    motors, tree = complete_motors(tree, found, pose, standing, guesses)
    joints = tuple(
        Joint(
            name=joint.name,
            lower=joint.lower,
            upper=joint.upper,
            velocity_limit=motor.velocity_limit or 0.0,
            effort_limit=motor.effort_limit or 0.0,
            default_pos=float(q),
            kp=motor.kp or 0.0,
            kd=motor.kd or 0.0,
            kind="slide" if joint.kind == "slide" else "hinge",
        )
        for joint, motor, q in zip(tree.joints, motors, pose, strict=True)
    )
    imu, tree = (None, _without_sites(tree)) if bolted else _imu(tree, found.imu, guesses)
    symmetry = None if bolted else mirror(tree, standing)
    if symmetry:
        guesses.append(Guess("left-right symmetry", "found", "joints, masses and limits left and right match"))
    elif not bolted:
        why = "some joint, mass or limit has no mirror image: training then cannot use the symmetry"
        guesses.append(Guess("left-right symmetry", "none", why))
    return Completed(
        tree=tree,
        joints=joints,
        feet=tuple(_foot(tree, leg, pose) for leg in standing),
        imu=imu,
        mirror=symmetry,
        standing_height=float(tree.base.joint.origin.pos[2]) if bolted else round(height(tree, pose), 4),
        fixed_base=bolted,
        guesses=tuple(guesses),
    )


# -- links ----------------------------------------------------------------------------------------------------


def _bolted(tree: RobotTree, said: bool | None, guesses: list[Guess]) -> bool:
    if said is not None:
        return said
    limbs = sum(link.parent == tree.base.name for link in tree.links)
    bolted = limbs < 2 or not tree.base.mass
    carries = f"it carries {limbs} limb{'s' * (limbs > 1)}" if tree.base.mass else "it weighs nothing"
    value = "bolted to the world" if bolted else "floats"
    guesses.append(Guess("base", value, f"the file does not say; {carries}; --base says it"))
    return bolted


def _root_name(tree: RobotTree) -> str:
    name = "root"
    while name in {joint.name for joint in tree.joints}:
        name += "_"
    return name


def _weighed(tree: RobotTree, guesses: list[Guess]) -> RobotTree:
    links = []
    for link in tree.links:
        if not link.mass and link.joint.kind != "fixed":
            raise UsageError(f"{tree.name}: link '{link.name}' moves, and has no mass")
        if link.mass and not possible(link.principal_inertia):
            moments = ball(link.mass, link.principal_inertia)
            why = "no body has the file's: a moment is not positive, or above the sum of the others"
            guesses.append(Guess(f"inertia of {link.name}", f"{moments[0]:.3g} kg m^2 about every axis", why))
            link = replace(link, principal_inertia=moments)
        links.append(link)
    return replace(tree, links=tuple(links))


def _limited(tree: RobotTree, guesses: list[Guess]) -> RobotTree:
    endless = [joint.name for joint in tree.joints if not np.isfinite([joint.lower, joint.upper]).all()]
    if endless:
        why = "the file sets none, and a policy's contract needs some"
        guesses.append(Guess(of_joints("limits", endless, tree), f"-{_ENDLESS:g} to {_ENDLESS:g} rad or m", why))
    links = []
    for link in tree.links:
        joint = link.joint
        if joint.name in endless:
            joint = replace(joint, lower=max(joint.lower, -_ENDLESS), upper=min(joint.upper, _ENDLESS))
        links.append(replace(link, joint=joint))
    return replace(tree, links=tuple(links))


def _with_shapes(tree: RobotTree, guesses: list[Guess]) -> RobotTree:
    """Collision shapes with names of their own, and something to see on every link that has a shape."""
    taken: set[str] = set()
    links = []
    for link in tree.links:
        solid = []
        for geom in (geom for geom in link.geoms if geom.collides):
            name, number = geom.name or link.name, 1
            while name in taken:
                number += 1
                name = f"{geom.name or link.name}_{number}"
            taken.add(name)
            solid.append(replace(geom, name=name))
        seen = [geom for geom in link.geoms if not geom.collides] or solid
        links.append(replace(link, geoms=(*solid, *(replace(geom, name="", collides=False) for geom in seen))))
    if not taken:
        guesses.append(Guess("collision shapes", "none", "the file has none: the robot falls through the ground"))
    return replace(tree, links=tuple(links))


def _imu(tree: RobotTree, said: tuple[str, Pose] | None, guesses: list[Guess]) -> tuple[ImuMount, RobotTree]:
    """The mount, and the tree with its site and no other."""
    called = next(
        ((link.name, site.pose) for link in tree.links for site in link.sites if "imu" in site.name.lower()), None
    )
    if said is not None and all(link.name != said[0] for link in tree.links):
        said = next(
            (link.name, site.pose @ said[1]) for link in tree.links for site in link.sites if site.name == said[0]
        )
    body, pose = said or called or (tree.base.name, Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
    if not said and not called:
        guesses.append(
            Guess("IMU", f"at the origin of {body}, its axes those of {body}", "nothing in the file is called imu")
        )
    sites = {body: (Site(IMU_SITE, pose),)}
    links = tuple(replace(link, sites=sites.get(link.name, ())) for link in tree.links)
    mount = ImuMount(IMU_SITE, body, tuple(pose.pos.tolist()), tuple(pose.quat.tolist()))
    return mount, replace(tree, links=links)


def _without_sites(tree: RobotTree) -> RobotTree:
    return replace(tree, links=tuple(replace(link, sites=()) for link in tree.links))


# -- pose -----------------------------------------------------------------------------------------------------


def _stance(tree: RobotTree, said: dict[str, float], bolted: bool, guesses: list[Guess]) -> tuple[Array, list[Leg]]:
    """The default pose, and the legs that stand on the ground in it."""
    pose = neutral(tree)
    if said:
        pose = np.clip([said[joint.name] for joint in tree.joints], *limits(tree.joints))
    standing = [] if bolted else legs(tree, pose)
    if not said:
        bent_legs = bent(tree, standing)
        if bent_legs is not None:
            pose, value = bent_legs, "feet under the hips, at three quarters of the legs' reach"
        else:
            value = "zero, or the middle of the range of a joint that cannot be there"
        guesses.append(Guess("default pose", value, "the file has no keyframe"))
    if not bolted:
        names = ", ".join(leg.geom.name for leg in standing) or "none"
        guesses.append(Guess("feet", names, "ends that are called foot or toe, or reach lowest"))
        guesses.append(
            Guess("standing height", f"{height(tree, pose):.4g} m", "lowest shape on the ground, base level")
        )
    return pose, standing


def _foot(tree: RobotTree, leg: Leg, pose: Array) -> Foot:
    frame = on_the_origin(tree, pose)[leg.link.name]
    radius = float((frame @ leg.geom.pose).pos[2]) - lowest(leg.geom, frame)
    if leg.geom.shape == "sphere":
        radius = leg.geom.size[0]
    return Foot(leg.geom.name, leg.link.name, leg.geom.name, radius)
