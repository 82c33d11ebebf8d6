"""A robot as URDF text.

What URDF has no word for is left out: armature, friction coefficients of shapes, torsional joint stiffness.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Literal

import numpy as np

from contract.robot import Robot
from contract.rotations import euler_from_quat
from sim.formats.links import Geom, Link, Pose, TreeJoint
from sim.formats.tree import RobotTree, read_tree

Dialect = Literal["plain", "pybullet"]

WORLD = "world"  # the link that a fixed base hangs on, in the plain dialect
_ENDLESS = 1e6  # m: URDF has no slide without limits
_UNTURNED = np.array([1.0, 0.0, 0.0, 0.0])


def to_urdf(robot: Robot, dialect: Dialect = "plain") -> str:
    """The robot as URDF.

    Links have the names of the MJCF's bodies and the axes of their frames. A link's frame is at its joint, which for a
    joint anchored off its body's origin is not the body's frame: see `RobotTree.at_joints`.

    Args:
        robot: the robot.
        dialect: `plain` keeps to the specification (wiki.ros.org/urdf/XML): a capsule is a cylinder and two spheres,
            an inertia is a full tensor in the link's axes, a fixed base hangs on a link `world`, and each site is a
            link without mass. `pybullet` has Bullet's own `<capsule>`, and inertias in their principal axes, since
            Bullet finds those of a full tensor to 1e-6 only; whoever loads it bolts a fixed base himself, and passes
            `URDF_USE_INERTIA_FROM_FILE`, without which Bullet reckons inertias from the shapes, and
            `URDF_USE_IMPLICIT_CYLINDER`, without which a cylinder is a polyhedron.

    Raises:
        UsageError: the MJCF holds what URDF cannot; see `read_tree`.
    """
    tree = read_tree(robot).at_joints()
    root = ET.Element("robot", name=robot.name)
    materials = _materials(tree)
    if dialect == "plain" and tree.base.joint.kind == "fixed":
        ET.SubElement(root, "link", name=WORLD)
        _add_joint(root, f"{WORLD}_joint", WORLD, tree.base.name, tree.base.joint)
    for link in tree.links:
        if link.parent:
            _add_joint(root, link.joint.name or f"{link.name}_fixed", link.parent, link.name, link.joint)
        _add_link(root, link, dialect, materials)
    if dialect == "plain":
        _add_sites(root, tree)
    ET.indent(root)
    return f'<?xml version="1.0"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add_link(root: ET.Element, link: Link, dialect: Dialect, materials: dict[tuple[float, ...], str]) -> None:
    element = ET.SubElement(root, "link", name=link.name)
    if dialect == "plain":
        _add_inertial(element, link.mass, Pose(link.com, _UNTURNED), link.inertia)
    else:
        _add_inertial(element, link.mass, Pose(link.com, link.principal_quat), np.diag(link.principal_inertia))
    for geom in link.geoms:
        parts = _parts(geom, dialect)
        for i, (pose, shape, sizes) in enumerate(parts):
            part = ET.SubElement(element, "collision" if geom.collides else "visual")
            if geom.name:
                part.set("name", geom.name if len(parts) == 1 else f"{geom.name}_{i}")
            _add_origin(part, pose)
            ET.SubElement(ET.SubElement(part, "geometry"), shape, sizes)
            if not geom.collides:
                material = ET.SubElement(part, "material", name=materials[geom.rgba])
                ET.SubElement(material, "color", rgba=_numbers(geom.rgba))


def _parts(geom: Geom, dialect: Dialect) -> list[tuple[Pose, str, dict[str, str]]]:
    """What a geom is in URDF: poses in the link, tags and attributes."""
    match geom.shape, geom.size:
        case "box", half:
            return [(geom.pose, "box", {"size": _numbers(2.0 * length for length in half)})]
        case "sphere", (radius,):
            return [(geom.pose, "sphere", {"radius": _number(radius)})]
        case "capsule", (radius, half_length) if dialect == "plain":
            ends = [geom.pose.point([0.0, 0.0, z]) for z in (-half_length, half_length)]
            spheres = [(Pose(end, _UNTURNED), "sphere", {"radius": _number(radius)}) for end in ends]
            return [(geom.pose, "cylinder", _round(radius, half_length)), *spheres]
        case shape, (radius, half_length):
            return [(geom.pose, shape, _round(radius, half_length))]
    raise AssertionError(geom.shape)


def _round(radius: float, half_length: float) -> dict[str, str]:
    return {"radius": _number(radius), "length": _number(2.0 * half_length)}


def _add_inertial(element: ET.Element, mass: float, pose: Pose, tensor: np.ndarray) -> None:
    inertial = ET.SubElement(element, "inertial")
    _add_origin(inertial, pose)
    ET.SubElement(inertial, "mass", value=_number(mass))
    axes = "xyz"
    entries = {f"i{axes[i]}{axes[j]}": _number(tensor[i, j]) for i in range(3) for j in range(i, 3)}
    ET.SubElement(inertial, "inertia", entries)


def _add_joint(root: ET.Element, name: str, parent: str, child: str, joint: TreeJoint) -> None:
    limited = np.isfinite(joint.lower) or np.isfinite(joint.upper)
    kind = {"hinge": "revolute" if limited else "continuous", "slide": "prismatic"}.get(joint.kind, "fixed")
    element = ET.SubElement(root, "joint", name=name, type=kind)
    ET.SubElement(element, "parent", link=parent)
    ET.SubElement(element, "child", link=child)
    _add_origin(element, joint.origin)
    if not joint.moves:
        return
    ET.SubElement(element, "axis", xyz=_numbers(joint.axis))
    limit = ET.SubElement(element, "limit")
    if kind != "continuous":
        limit.set("lower", _number(max(joint.lower, -_ENDLESS)))
        limit.set("upper", _number(min(joint.upper, _ENDLESS)))
    limit.set("effort", _number(joint.effort_limit))
    limit.set("velocity", _number(joint.velocity_limit))
    ET.SubElement(element, "dynamics", damping=_number(joint.damping), friction=_number(joint.friction))


def _add_sites(root: ET.Element, tree: RobotTree) -> None:
    taken = {link.name for link in tree.links} | {WORLD}
    for link in tree.links:
        for site in link.sites:
            name = f"{site.name}_site" if site.name in taken else site.name
            taken.add(name)
            # PyBullet takes a link without an inertial for one of 1 kg.
            _add_inertial(ET.SubElement(root, "link", name=name), 0.0, Pose(np.zeros(3), _UNTURNED), np.zeros((3, 3)))
            fixed = TreeJoint("", "fixed", site.pose, np.zeros(3), np.zeros(3))
            _add_joint(root, f"{name}_fixed", link.name, name, fixed)


def _materials(tree: RobotTree) -> dict[tuple[float, ...], str]:
    """A name for each colour that is seen."""
    colours = dict.fromkeys(geom.rgba for link in tree.links for geom in link.geoms if not geom.collides)
    return {rgba: f"colour_{i}" for i, rgba in enumerate(colours)}


def _add_origin(element: ET.Element, pose: Pose) -> None:
    ET.SubElement(element, "origin", xyz=_numbers(pose.pos), rpy=_numbers(euler_from_quat(pose.quat)))


def _numbers(values: Iterable[float]) -> str:
    return " ".join(_number(value) for value in values)


def _number(value: float) -> str:
    return repr(float(value) + 0.0)  # no -0.0
