"""A robot as a tree of links and joints that belongs to no engine, read from its MJCF by MuJoCo's own compiler.

`RobotTree` keeps the body frames of the MJCF. `at_joints` puts each link's frame at its joint, as URDF wants it.
"""

from dataclasses import dataclass, replace

import mujoco
import numpy as np
from numpy.typing import ArrayLike

from contract.errors import UsageError
from contract.robot import Robot
from sim.formats.links import Array, Link, Pose, TreeJoint
from sim.formats.mujoco_links import is_primitive, links_of, read_geom, refuse_joints


@dataclass(frozen=True, eq=False)
class RobotTree:
    """A robot's links, parents before children, in the order of the MJCF, so that the base comes first."""

    name: str
    links: tuple[Link, ...]

    @property
    def base(self) -> Link:
        return self.links[0]

    @property
    def joints(self) -> tuple[TreeJoint, ...]:
        """Hinges and slides, in the order of `Robot.joint_names`."""
        return tuple(link.joint for link in self.links if link.joint.moves)

    def link(self, name: str) -> Link:
        """The link called `name`; KeyError where there is none."""
        for link in self.links:
            if link.name == name:
                return link
        raise KeyError(name)

    def world_poses(self, joint_pos: ArrayLike) -> dict[str, Pose]:
        """Each link's frame in the world by forward kinematics, the base where the MJCF puts it.

        Args:
            joint_pos: (num_joints,) rad or m.
        """
        positions = iter(np.asarray(joint_pos, dtype=np.float64))
        poses: dict[str, Pose] = {}
        for link in self.links:
            pose = link.joint.pose(next(positions)) if link.joint.moves else link.joint.origin
            poses[link.name] = poses[link.parent] @ pose if link.parent else pose
        return poses

    def at_joints(self) -> "RobotTree":
        """The same robot with each link's frame moved to its joint's anchor; the axes stay, so do the base's frame.

        A point `p` of a body is the point `p - anchor` of its moved link.
        """
        anchors = {link.name: link.joint.anchor for link in self.links} | {"": np.zeros(3)}
        return replace(self, links=tuple(_moved(link, anchors[link.parent]) for link in self.links))


def _moved(link: Link, parent_anchor: Array) -> Link:
    """`link` with its frame at its own anchor, under a parent whose frame has moved to `parent_anchor`."""
    joint, anchor = link.joint, link.joint.anchor

    def moved(pose: Pose) -> Pose:
        return Pose(pose.pos - anchor, pose.quat)

    origin = Pose(joint.origin.point(anchor) - parent_anchor, joint.origin.quat)
    return replace(
        link,
        joint=replace(joint, origin=origin, anchor=np.zeros(3)),
        com=link.com - anchor,
        geoms=tuple(replace(geom, pose=moved(geom.pose)) for geom in link.geoms),
        sites=tuple(replace(site, pose=moved(site.pose)) for site in link.sites),
    )


def read_tree(robot: Robot) -> RobotTree:
    """Compile the robot's MJCF and read it as a tree.

    Raises:
        UsageError: the MJCF holds what a tree of hinges, slides and primitives cannot: another kind of joint, several
            joints on one body, a spring, a tendon, an equality constraint, a shape that is not a primitive, or a body
            without mass that is not a bolted base.
    """
    model = mujoco.MjModel.from_xml_path(str(robot.mjcf))
    _refuse_what_is_no_tree(robot, model)
    links = links_of(model, range(1, model.nbody), read_geom)
    if links[0].name != robot.base_body or any(not link.parent for link in links[1:]):
        raise UsageError(f"{robot.name}: its MJCF must hang everything on the one body '{robot.base_body}'")
    facts = {joint.name: joint for joint in robot.joints}
    for link in links:
        if link.joint.moves and link.joint.name not in facts:
            raise UsageError(f"{robot.name}: joint '{link.joint.name}' of its MJCF is not among its joints")

    def with_facts(joint: TreeJoint) -> TreeJoint:
        if not joint.moves:
            return joint
        known = facts[joint.name]
        return replace(joint, velocity_limit=known.velocity_limit, effort_limit=known.effort_limit)

    return RobotTree(robot.name, tuple(replace(link, joint=with_facts(link.joint)) for link in links))


def _refuse_what_is_no_tree(robot: Robot, model: mujoco.MjModel) -> None:
    def refuse(what: str) -> UsageError:
        return UsageError(f"{robot.name}: {what}, which a tree of hinges, slides and primitive shapes cannot hold")

    if model.neq:
        raise refuse("its MJCF has equality constraints")
    if model.ntendon:
        raise refuse("its MJCF has tendons")
    refuse_joints(model, refuse)
    for body in range(1, model.nbody):
        if not model.body_mass[body] and model.body_parentid[body]:
            raise refuse(f"body '{model.body(body).name}' weighs nothing (a site would do)")
    for i in range(model.njnt):
        if np.any(model.joint(i).stiffness):
            raise refuse(f"joint '{model.joint(i).name}' has a spring")
    for i in range(model.ngeom):
        if not is_primitive(model, i):
            body = model.body(model.geom_bodyid[i]).name
            raise refuse(f"geom '{model.geom(i).name}' of body '{body}' is not a box, sphere, capsule or cylinder")
