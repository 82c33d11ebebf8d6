"""A robot's links as the text of a `robot.xml` that keeps the promises of `contract.robots`."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from sim.formats.links import Geom, Link, Pose
from sim.formats.mujoco_links import COLLISION_GROUP, VISUAL_GROUP
from sim.formats.tree import RobotTree

_CLASSES = {
    "collision": {
        "group": str(COLLISION_GROUP),
        "contype": "0",
        "conaffinity": "1",
        "priority": "1",
        "condim": "3",
        "mass": "0",
        "rgba": "0.2 0.6 0.9 0.4",
    },
    "visual": {"group": str(VISUAL_GROUP), "contype": "0", "conaffinity": "0", "mass": "0"},
}


def to_robot_xml(tree: RobotTree, comment: str) -> str:
    """The MJCF of the robot alone.

    Args:
        tree: joints with limits; collision shapes with names of their own.
        comment: what stands on top.
    """
    root = ET.Element("mujoco", model=tree.name)
    ET.SubElement(root, "compiler", angle="radian", autolimits="true")
    defaults = ET.SubElement(root, "default")
    for name, settings in _CLASSES.items():
        ET.SubElement(ET.SubElement(defaults, "default", {"class": name}), "geom", settings)
    elements = {"": ET.SubElement(root, "worldbody")}
    for link in tree.links:
        elements[link.name] = _add_body(elements[link.parent], link)
    ET.indent(root)
    return f"<!--\n  {comment.replace('--', '- -')}\n-->\n{ET.tostring(root, encoding='unicode')}\n"


def _add_body(parent: ET.Element, link: Link) -> ET.Element:
    body = ET.SubElement(parent, "body", {"name": link.name} | _pose(link.joint.origin))
    if link.joint.kind == "free":
        ET.SubElement(body, "freejoint", name=link.joint.name)
    if link.mass:
        figures = {"mass": _numbers([link.mass]), "diaginertia": _numbers(link.principal_inertia)}
        ET.SubElement(body, "inertial", _pose(Pose(link.com, link.principal_quat)) | figures)
    if link.joint.moves:
        _add_joint(body, link)
    for site in link.sites:
        ET.SubElement(body, "site", {"name": site.name} | _pose(site.pose))
    for geom in link.geoms:
        _add_geom(body, geom)
    return body


def _add_joint(body: ET.Element, link: Link) -> None:
    joint = link.joint
    element = ET.SubElement(body, "joint", name=joint.name, type=joint.kind, axis=_numbers(joint.axis))
    if joint.anchor.any():
        element.set("pos", _numbers(joint.anchor))
    element.set("range", _numbers([joint.lower, joint.upper]))
    for name, value in (("damping", joint.damping), ("frictionloss", joint.friction), ("armature", joint.armature)):
        if value:
            element.set(name, _numbers([value]))


def _add_geom(body: ET.Element, geom: Geom) -> None:
    element = ET.SubElement(body, "geom")
    if geom.name:
        element.set("name", geom.name)
    element.set("class", "collision" if geom.collides else "visual")
    element.set("type", geom.shape)
    element.set("size", _numbers(geom.size))
    for name, value in _pose(geom.pose).items():
        element.set(name, value)
    if geom.collides:
        element.set("friction", _numbers(geom.friction))
    else:
        element.set("rgba", _numbers(geom.rgba))


def _pose(pose: Pose) -> dict[str, str]:
    return {"pos": _numbers(pose.pos), "quat": _numbers(pose.quat)}


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{float(value) + 0.0!r}".removesuffix(".0") for value in values)  # no -0.0
