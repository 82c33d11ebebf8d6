"""URDF as links and joints, after wiki.ros.org/urdf/XML, with PyBullet's `<capsule>`."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from contract.errors import UsageError
from contract.rotations import quat_from_euler, quat_to_matrix
from sim.formats.importing.found import Found, Guess, Motor
from sim.formats.importing.rigid import principal
from sim.formats.importing.shapes import fitted_mesh
from sim.formats.links import Array, Geom, JointKind, Link, Pose, Shape, TreeJoint
from sim.formats.tree import RobotTree

FRICTION = (0.8, 0.005, 0.0001)  # sliding; torsional and rolling are MuJoCo's defaults
_GREY = (0.7, 0.7, 0.7, 1.0)
_WORLD, _BASE = "world", "base"
_KINDS: dict[str, JointKind] = {
    "revolute": "hinge",
    "continuous": "hinge",
    "prismatic": "slide",
    "fixed": "fixed",
    "floating": "free",
}


def read_urdf(path: Path) -> Found:
    """Read a URDF file.

    Collision meshes become primitives; meshes that are only seen are left out, and the collision shapes are seen
    instead. URDF cannot say whether the root is bolted, unless it is a link `world`.

    Raises:
        UsageError: the file contradicts itself, a joint is of a kind that has no place in a tree of hinges and
            slides, or a collision mesh cannot be read.
        ParseError: the file is not XML.
    """
    return _Reader(path).found()


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = ET.parse(path).getroot()
        self.elements = self._named(self.root.findall("link"), "link")
        self.joints = self._named(self.root.findall("joint"), "joint")
        self.colours = {
            element.get("name", ""): self._colour(element, _GREY) for element in self.root.findall("material")
        }
        self.guesses: list[Guess] = []
        self.unseen = 0

    def found(self) -> Found:
        """Everything that the file says."""
        if not self.elements:
            raise self._error("has no links")
        joint_of = self._joints_by_child()
        order = self._depth_first(joint_of)
        tree = RobotTree(
            self.root.get("name") or self.path.stem, tuple(self._link(name, joint_of.get(name)) for name in order)
        )
        tree, fixed_base = self._without_empty_roots(tree)
        if any(geom.collides for link in tree.links for geom in link.geoms):
            self._note("friction of all shapes", f"{FRICTION[0]}", "URDF cannot say; of rubber on concrete, about")
        motors = {link.joint.name: self._motor(link.joint.name) for link in tree.links if link.joint.moves}
        if self.unseen:
            self._note(
                "visual meshes",
                f"{self.unseen} left out",
                "the collision shapes are drawn; files of meshes do not travel",
            )
        return Found(tree, motors, fixed_base=fixed_base, armature=False, guesses=tuple(self.guesses))

    # -- the tree ---------------------------------------------------------------------------------------------

    def _joints_by_child(self) -> dict[str, ET.Element]:
        joint_of: dict[str, ET.Element] = {}
        for name, joint in self.joints.items():
            for end in ("parent", "child"):
                if self._end(joint, end) not in self.elements:
                    raise self._error(f"joint '{name}': its {end} '{self._end(joint, end)}' is no link")
            child = self._end(joint, "child")
            if child in joint_of:
                raise self._error(
                    f"link '{child}' is the child of two joints, '{joint_of[child].get('name')}' and '{name}'"
                )
            joint_of[child] = joint
        return joint_of

    def _depth_first(self, joint_of: dict[str, ET.Element]) -> list[str]:
        """Links, parents first, siblings as they stand in the file."""
        roots = [name for name in self.elements if name not in joint_of]
        if len(roots) != 1:
            raise self._error(f"must have one root link, and has {len(roots)}: {', '.join(roots) or 'a loop'}")
        order, waiting = [], roots
        while waiting:
            name = waiting.pop()
            order.append(name)
            children = [child for child, joint in joint_of.items() if self._end(joint, "parent") == name]
            waiting += reversed(children)
        if len(order) != len(self.elements):
            raise self._error(f"links {', '.join(sorted(set(self.elements) - set(order)))} hang on a loop of joints")
        return order

    def _without_empty_roots(self, tree: RobotTree) -> tuple[RobotTree, bool | None]:
        """Drop root links that weigh nothing and only carry the next one, such as `world` or `base_footprint`.

        Also says whether the base is bolted, which is where `world` carries it without a joint that moves.
        """
        links, fixed_base = tree.links, None
        while not links[0].mass and sum(link.parent == links[0].name for link in links) == 1:
            first = links[1]
            if first.joint.moves:
                break
            if links[0].name == _WORLD:
                fixed_base = first.joint.kind == "fixed"
            kind: JointKind = "fixed" if fixed_base else "free"
            first = replace(first, parent="", joint=replace(first.joint, name="", kind=kind))
            links = (first, *links[2:])
        if links[0].name == _WORLD:  # a name that MuJoCo keeps for its own
            fixed_base = True
            bolted = replace(links[0], name=_BASE, joint=replace(links[0].joint, kind="fixed"))
            links = (bolted, *(replace(link, parent=_BASE) if link.parent == _WORLD else link for link in links[1:]))
        for link in links[1:]:
            if link.joint.kind == "free":
                raise self._error(f"joint '{link.joint.name}' is floating, which only the base can be")
        return replace(tree, links=links), fixed_base

    # -- links ------------------------------------------------------------------------------------------------

    def _link(self, name: str, joint: ET.Element | None) -> Link:
        element = self.elements[name]
        mass, com, moments, quat = self._inertial(name, element.find("inertial"))
        unseen = self.unseen
        seen = [geom for visual in element.findall("visual") for geom in self._geoms(name, visual, collides=False)]
        solid = [geom for shape in element.findall("collision") for geom in self._geoms(name, shape, collides=True)]
        if self.unseen > unseen:
            seen += [replace(geom, collides=False) for geom in solid]
        return Link(
            name=name,
            parent=self._end(joint, "parent") if joint is not None else "",
            joint=self._joint(joint),
            mass=mass,
            com=com,
            principal_inertia=moments,
            principal_quat=quat,
            geoms=(*solid, *seen),
            sites=(),
        )

    def _inertial(self, name: str, inertial: ET.Element | None) -> tuple[float, Array, Array, Array]:
        """Mass, centre of mass, principal moments and axes."""
        if inertial is None:
            return 0.0, np.zeros(3), np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
        where = f"link '{name}', inertial"
        pose = self._origin(inertial, where)
        mass = self._number(inertial.find("mass"), "value", where, 0.0)
        if mass < 0.0:
            raise self._error(f"{where}: its mass is negative, {mass}")
        tensor, axes = np.zeros((3, 3)), "xyz"
        for i in range(3):
            for j in range(i, 3):
                entry = self._number(inertial.find("inertia"), f"i{axes[i]}{axes[j]}", where, 0.0)
                tensor[i, j] = tensor[j, i] = entry
        turn = quat_to_matrix(pose.quat)
        moments, quat = principal(turn @ tensor @ turn.T)
        return mass, pose.pos, moments, quat

    def _geoms(self, link: str, element: ET.Element, *, collides: bool) -> list[Geom]:
        """The shape of a `<visual>` or `<collision>`; none for a mesh that is only seen."""
        where = f"link '{link}', {element.tag}"
        geometry = element.find("geometry")
        if geometry is None or not len(geometry):
            raise self._error(f"{where}: has no geometry")
        shape, pose = geometry[0], self._origin(element, where)
        kind: Shape
        size: tuple[float, ...]
        if shape.tag == "box":
            kind, size = "box", tuple(0.5 * self._numbers(shape.get("size"), 3, f"{where}, box size"))
        elif shape.tag == "sphere":
            kind, size = "sphere", (self._number(shape, "radius", where),)
        elif shape.tag in ("cylinder", "capsule"):
            kind = "capsule" if shape.tag == "capsule" else "cylinder"
            size = self._number(shape, "radius", where), 0.5 * self._number(shape, "length", where)
        elif shape.tag == "mesh" and collides:
            file = self._mesh_file(shape.get("filename") or "", where)
            scale = self._numbers(shape.get("scale", "1 1 1"), 3, f"{where}, mesh scale")
            kind, size, inner = fitted_mesh(file, scale)
            pose = pose @ inner
            self._note(f"collision shape of {link}", kind, f"fitted to the bounds of {file.name}")
        elif shape.tag == "mesh":
            self.unseen += 1
            return []
        else:
            raise self._error(f"{where}: <{shape.tag}> is not a box, sphere, cylinder, capsule or mesh")
        if not all(part > 0.0 for part in size):
            if not collides:
                return []
            raise self._error(f"{where}: the sizes of its {shape.tag} must be positive, got {size}")
        material = element.find("material")
        colour = self.colours.get(material.get("name", ""), _GREY) if material is not None else _GREY
        if material is not None:
            colour = self._colour(material, colour)
        return [Geom(element.get("name") or link, kind, size, pose, colour, FRICTION, collides)]

    def _mesh_file(self, name: str, where: str) -> Path:
        """The file that a mesh's name means: a path beside the URDF, a file URL, or a place in a ROS package.

        A package is looked for as a folder of that name above the URDF, then as the folder above it itself.
        """
        here = self.path.absolute().parent
        scheme, _, rest = name.partition("://")
        if not rest:
            return here / name
        if scheme == "file":
            return Path(unquote(rest))
        if scheme not in ("package", "model"):
            raise self._error(f"{where}: '{name}' is no file; download it and name the copy")
        package, _, inside = rest.partition("/")
        for folder in (here, *here.parents):
            for candidate in (folder / package / inside, folder / inside, folder / rest):
                if candidate.is_file():
                    return candidate
        return here / rest

    def _colour(self, material: ET.Element, otherwise: tuple[float, ...]) -> tuple[float, ...]:
        colour = material.find("color")
        if colour is None:
            return otherwise
        return tuple(self._numbers(colour.get("rgba"), 4, f"material '{material.get('name')}'").tolist())

    # -- joints -----------------------------------------------------------------------------------------------

    def _joint(self, joint: ET.Element | None) -> TreeJoint:
        nowhere = np.zeros(3)
        if joint is None:
            return TreeJoint(
                "", "free", Pose(nowhere, np.array([1.0, 0.0, 0.0, 0.0])), np.array([0.0, 0.0, 1.0]), nowhere
            )
        name, kind = joint.get("name") or "", joint.get("type") or ""
        where = f"joint '{name}'"
        if kind not in _KINDS:
            raise self._error(f"{where} is {kind or 'of no type'}; it must be one of {', '.join(_KINDS)}")
        axis = joint.find("axis")
        direction = self._numbers(axis.get("xyz") if axis is not None else "1 0 0", 3, f"{where}, axis")
        if _KINDS[kind] in ("hinge", "slide") and not np.linalg.norm(direction) > 0.0:
            raise self._error(f"{where}: its axis is zero")
        limit, dynamics = joint.find("limit"), joint.find("dynamics")
        lower, upper = -np.inf, np.inf
        if kind in ("revolute", "prismatic"):
            lower, upper = (self._number(limit, end, where, 0.0) for end in ("lower", "upper"))
            if not lower < upper:
                raise self._error(f"{where}: its lower limit {lower} is not below its upper one {upper}")
        if joint.find("mimic") is not None:
            self._note(f"mimic of {name}", "left out", "a joint that follows another: here it has a motor of its own")
        return TreeJoint(
            name=name,
            kind=_KINDS[kind],
            origin=self._origin(joint, where),
            axis=direction / (np.linalg.norm(direction) or 1.0),
            anchor=nowhere,
            lower=lower,
            upper=upper,
            damping=self._number(dynamics, "damping", where, 0.0),
            friction=self._number(dynamics, "friction", where, 0.0),
        )

    def _motor(self, name: str) -> Motor:
        """Zero is what exporters write for a limit that they do not know."""
        limit, where = self.joints[name].find("limit"), f"joint '{name}', limit"
        return Motor(
            velocity_limit=self._number(limit, "velocity", where, 0.0) or None,
            effort_limit=self._number(limit, "effort", where, 0.0) or None,
        )

    # -- words and numbers ------------------------------------------------------------------------------------

    def _named(self, elements: Iterable[ET.Element], kind: str) -> dict[str, ET.Element]:
        named: dict[str, ET.Element] = {}
        for element in elements:
            name = element.get("name") or ""
            if not name or name in named:
                raise self._error(f"has two {kind}s '{name}'" if name else f"has a {kind} without a name")
            named[name] = element
        return named

    @staticmethod
    def _end(joint: ET.Element, end: str) -> str:
        element = joint.find(end)
        return (element.get("link") or "") if element is not None else ""

    def _origin(self, element: ET.Element, where: str) -> Pose:
        origin = element.find("origin")
        if origin is None:
            return Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
        xyz, rpy = (self._numbers(origin.get(name, "0 0 0"), 3, f"{where}, origin {name}") for name in ("xyz", "rpy"))
        return Pose(xyz, quat_from_euler(rpy))

    def _number(self, element: ET.Element | None, name: str, where: str, otherwise: float | None = None) -> float:
        text = element.get(name) if element is not None else None
        if text is None and otherwise is not None:
            return otherwise
        return float(self._numbers(text, 1, f"{where}, {name}")[0])

    def _numbers(self, text: str | None, count: int, where: str) -> Array:
        try:
            values = np.array([float(part) for part in (text or "").split()])
        except ValueError:
            values = np.array([np.nan])
        if values.shape != (count,) or not np.isfinite(values).all():
            raise self._error(f"{where}: must be {count} finite number{'s' * (count > 1)}, got {text!r}")
        return values

    def _note(self, what: str, value: str, why: str) -> None:
        self.guesses.append(Guess(what, value, why))

    def _error(self, what: str) -> UsageError:
        return UsageError(f"{self.path}: {what}")
