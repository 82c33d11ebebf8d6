"""What PyBullet's URDF needs beside the robot: one collision geom a link, rotors, and masses that vary.

Bullet has no word for armature. Here it is what it is on the robot: a small flywheel on the joint's parent, geared to
the joint, that turns `GEAR` times as fast; seen through the gear its inertia is the armature.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from contract.rotations import euler_from_quat

# The flywheel's inertia is the armature over the square of this. What it does other than resist its joint, which is the
# whole of what armature means in MuJoCo, is smaller by the factor itself.
GEAR = 1000.0


@dataclass(frozen=True)
class Inertial:
    """What parameters change about masses.

    Attributes:
        base: as `Batch.base` has it.
        links: factors on mass and inertia of what each joint moves.
        armature: kg m^2, of each joint.
    """

    base: tuple[float, ...]
    links: tuple[float, ...]
    armature: tuple[float, ...]


def rotor_of(joint: str) -> str:
    """Name of a joint's rotor: of its link and of the joint that it turns about."""
    return f"{joint}:rotor"


def one_geom_a_link(urdf: str) -> tuple[str, dict[str, str]]:
    """Take the visuals out, and give geoms that share a link, or are on the root, a link of their own without mass.

    Bullet reports contacts a link, and of the root it tells less than of links.

    Returns:
        The URDF, and the link of each collision geom.
    """
    root = ET.fromstring(urdf)
    carriers: dict[str, str] = {}
    links = root.findall("link")
    for link in links:
        for visual in link.findall("visual"):
            link.remove(visual)
        geoms = link.findall("collision")
        for geom in geoms:
            name, carrier = geom.attrib["name"], link.attrib["name"]
            if len(geoms) > 1 or link is links[0]:
                link.remove(geom)
                carrier = f"{name}:geom"
                _add_link(root, carrier, link.attrib["name"], "fixed").append(geom)
            carriers[name] = carrier
    return ET.tostring(root, encoding="unicode"), carriers


def with_inertial(urdf: str, joints: tuple[str, ...], inertial: Inertial) -> str:
    """The URDF with that base, and a rotor for each of `joints` that has armature."""
    root = ET.fromstring(urdf)
    base, (mass, x, y, z, *rest) = _find(root, "link/inertial"), inertial.base
    _find(base, "mass").set("value", repr(mass))
    _find(base, "origin").set("xyz", " ".join(map(repr, (x, y, z))))
    _find(base, "origin").set("rpy", " ".join(map(repr, euler_from_quat(rest[3:]).tolist())))
    for axis, moment in zip("xyz", rest[:3], strict=True):
        _find(base, "inertia").set(f"i{axis}{axis}", repr(moment))
    for name, armature, factor in zip(joints, inertial.armature, inertial.links, strict=True):
        joint = _find(root, f"joint[@name='{name}']")
        _scale(_find(root, f"link[@name='{_find(joint, 'child').attrib['link']}']/inertial"), factor)
        if armature > 0.0:
            parent, inertia = _find(joint, "parent").attrib["link"], armature / GEAR**2
            _add_link(root, rotor_of(name), parent, "continuous", inertia, **_find(joint, "origin").attrib)
    return ET.tostring(root, encoding="unicode")


def _scale(inertial: ET.Element, factor: float) -> None:
    """Mass and moments of inertia, times a factor."""
    for element in (_find(inertial, "mass"), _find(inertial, "inertia")):
        for name, value in element.attrib.items():
            element.set(name, repr(factor * float(value)))


def _add_link(root: ET.Element, name: str, parent: str, kind: str, inertia: float = 0.0, **origin: str) -> ET.Element:
    """A link without mass on a joint of its own name."""
    link = ET.SubElement(root, "link", name=name)
    inertial = ET.SubElement(link, "inertial")
    ET.SubElement(inertial, "mass", value="0")
    ET.SubElement(
        inertial, "inertia", ixx=repr(inertia), iyy=repr(inertia), izz=repr(inertia), ixy="0", ixz="0", iyz="0"
    )
    joint = ET.SubElement(root, "joint", name=name, type=kind)
    ET.SubElement(joint, "parent", link=parent)
    ET.SubElement(joint, "child", link=name)
    ET.SubElement(joint, "origin", origin)
    ET.SubElement(joint, "axis", xyz="0 0 1")
    return link


def _find(parent: ET.Element, path: str) -> ET.Element:
    found = parent.find(path)
    if found is None:
        raise ValueError(f"URDF without {path}")
    return found
