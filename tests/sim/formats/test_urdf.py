"""URDF read back by two programs that know nothing of ours: MuJoCo and PyBullet."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pybullet
import pytest
from nasty_robots import assert_same_rotation, mass_matrix, nasty_robot, posed, random_pose

from contract import robots
from contract.robot import Robot
from contract.rotations import quat_to_matrix, wxyz_from_xyzw
from sim.formats.links import Geom, Pose
from sim.formats.tree import read_tree
from sim.formats.urdf import Dialect, to_urdf

TOLERANCE = 1e-6
DIALECTS: tuple[Dialect, ...] = ("plain", "pybullet")
FLAGS = pybullet.URDF_USE_INERTIA_FROM_FILE | pybullet.URDF_USE_IMPLICIT_CYLINDER


@pytest.fixture(params=[*robots.shipped(), 0, 1, 2, 3])
def robot(request: pytest.FixtureRequest, tmp_path: Path) -> Robot:
    if isinstance(request.param, str):
        return robots.load(request.param)
    return nasty_robot(tmp_path, request.param, fixed_base=bool(request.param % 2))


@pytest.fixture
def client() -> Iterator[int]:
    client = pybullet.connect(pybullet.DIRECT)
    yield client
    pybullet.disconnect(client)


def in_mujoco(robot: Robot) -> mujoco.MjModel:
    """MuJoCo's reading of the plain dialect, links with fixed joints kept apart.

    MuJoCo takes the root link of a URDF for the world's, so a base that floats is hung on a floating joint here.
    """
    root = ElementTree.fromstring(to_urdf(robot))
    if not robot.fixed_base:
        ElementTree.SubElement(root, "link", name="world")
        joint = ElementTree.SubElement(root, "joint", name="root", type="floating")
        ElementTree.SubElement(joint, "parent", link="world")
        ElementTree.SubElement(joint, "child", link=robot.base_body)
    ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler", fusestatic="false")
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))


def inertia_in_world(model: mujoco.MjModel, data: mujoco.MjData, body: str) -> np.ndarray:
    axes = data.body(body).ximat.reshape(3, 3)
    return axes @ np.diag(model.body(body).inertia) @ axes.T


@pytest.mark.parametrize("seed", range(3))
def test_mujoco_reads_the_same_robot(robot: Robot, seed: int) -> None:
    q = random_pose(robot, seed)
    ours, our_data = posed(robot, q)
    theirs = in_mujoco(robot)
    data = mujoco.MjData(theirs)
    for name, position in zip(robot.joint_names, q, strict=True):
        data.qpos[theirs.joint(name).qposadr[0]] = position
    if not robot.fixed_base:
        data.qpos[theirs.joint("root").qposadr[0] :][:7] = our_data.qpos[:7]
    mujoco.mj_forward(theirs, data)

    for link in read_tree(robot).links:
        np.testing.assert_allclose(theirs.body(link.name).mass, ours.body(link.name).mass, rtol=TOLERANCE)
        if link.mass:
            np.testing.assert_allclose(data.body(link.name).xipos, our_data.body(link.name).xipos, atol=TOLERANCE)
        mine, other = inertia_in_world(ours, our_data, link.name), inertia_in_world(theirs, data, link.name)
        np.testing.assert_allclose(other, mine, atol=TOLERANCE * np.abs(mine).max())
        assert_same_rotation(data.body(link.name).xquat, our_data.body(link.name).xquat, TOLERANCE)
        for site in link.sites:
            np.testing.assert_allclose(data.body(site.name).xpos, our_data.site(site.name).xpos, atol=TOLERANCE)
            assert_same_rotation(data.body(site.name).xquat, site_quat(our_data, site.name), TOLERANCE)
    for joint in robot.joints:
        mine, other = our_data.joint(joint.name), data.joint(joint.name)
        if joint.kind == "hinge":  # MuJoCo leaves the anchor of a slide where it starts, which is at its `ref`
            np.testing.assert_allclose(other.xanchor, mine.xanchor, atol=TOLERANCE)
        np.testing.assert_allclose(other.xaxis, mine.xaxis, atol=TOLERANCE)
        np.testing.assert_allclose(theirs.joint(joint.name).range, ours.joint(joint.name).range, rtol=TOLERANCE)
        for figure in ("damping", "frictionloss"):
            mine, other = getattr(ours.joint(joint.name), figure), getattr(theirs.joint(joint.name), figure)
            np.testing.assert_allclose(other, mine, rtol=TOLERANCE)


def site_quat(data: mujoco.MjData, name: str) -> np.ndarray:
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, data.site(name).xmat)
    return quat


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pybullet_reads_the_same_robot(robot: Robot, dialect: Dialect, tmp_path: Path, client: int) -> None:
    body = load(client, to_urdf(robot, dialect), tmp_path, fixed=False)  # Bullet says 0 kg of a bolted base
    links = {info[12].decode(): info for info in joint_infos(client, body)}
    index = {name: info[0] for name, info in links.items()} | {pybullet.getBodyInfo(body, client)[0].decode(): -1}
    tree = read_tree(robot).at_joints()
    for link in tree.links:
        mass, _, moments, com, quat, *_ = pybullet.getDynamicsInfo(body, index[link.name], client)
        assert mass == pytest.approx(link.mass, rel=TOLERANCE)
        if not link.mass:
            continue
        np.testing.assert_allclose(com, link.com, atol=TOLERANCE)
        axes = quat_to_matrix(wxyz_from_xyzw(quat))
        tensor = axes @ np.diag(moments) @ axes.T
        np.testing.assert_allclose(tensor, link.inertia, atol=TOLERANCE * np.abs(link.inertia).max())
    for joint in robot.joints:
        info = next(info for info in links.values() if info[1].decode() == joint.name)
        assert info[2] == (pybullet.JOINT_REVOLUTE if joint.kind == "hinge" else pybullet.JOINT_PRISMATIC)
        facts = next(other for other in tree.joints if other.name == joint.name)
        expected = (facts.damping, facts.friction, joint.lower, joint.upper, joint.effort_limit, joint.velocity_limit)
        assert info[6:12] == pytest.approx(expected, rel=TOLERANCE)
    total = sum(pybullet.getDynamicsInfo(body, i, client)[0] for i in range(-1, len(links)))
    assert total == pytest.approx(sum(link.mass for link in tree.links))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pybullet_moves_it_as_mujoco_does(robot: Robot, dialect: Dialect, tmp_path: Path, client: int) -> None:
    """The joint space mass matrix holds every mass, inertia, axis and frame at once."""
    q = random_pose(robot)
    body = load(client, to_urdf(robot, dialect), tmp_path, fixed=True)
    infos = joint_infos(client, body)
    moving = [info[1].decode() for info in infos if info[3] >= 0]
    assert sorted(moving) == sorted(robot.joint_names)
    order = [robot.joint_names.index(name) for name in moving]
    theirs = np.array(pybullet.calculateMassMatrix(body, q[order].tolist(), physicsClientId=client))
    ours = mass_matrix(robot, q)[np.ix_(order, order)]
    np.testing.assert_allclose(theirs, ours, atol=TOLERANCE * np.abs(ours).max())

    for info, position in zip([info for info in infos if info[3] >= 0], q[order], strict=True):
        pybullet.resetJointState(body, info[0], position, physicsClientId=client)
    poses = read_tree(robot).at_joints().world_poses(q)
    # Bullet puts the root link at the origin: the base, or the world that the base hangs on.
    is_base = pybullet.getBodyInfo(body, client)[0].decode() == robot.base_body
    root = poses[robot.base_body].inverse() if is_base else Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
    for info in infos:
        if (name := info[12].decode()) in poses:
            state = pybullet.getLinkState(body, info[0], computeForwardKinematics=True, physicsClientId=client)
            expected = root @ poses[name]
            np.testing.assert_allclose(state[4], expected.pos, atol=TOLERANCE)
            assert_same_rotation(wxyz_from_xyzw(state[5]), expected.quat, TOLERANCE)


def joint_infos(client: int, body: int) -> list[tuple]:
    return [pybullet.getJointInfo(body, i, client) for i in range(pybullet.getNumJoints(body, client))]


def load(client: int, urdf: str, folder: Path, *, fixed: bool) -> int:
    path = folder / "robot.urdf"
    path.write_text(urdf)
    return int(pybullet.loadURDF(str(path), useFixedBase=fixed, flags=FLAGS, physicsClientId=client))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_collision_shapes_are_where_mujoco_has_them(
    robot: Robot, dialect: Dialect, tmp_path: Path, client: int
) -> None:
    body = load(client, to_urdf(robot, dialect), tmp_path, fixed=True)
    names = {info[12].decode(): info[0] for info in joint_infos(client, body)}
    for link in read_tree(robot).at_joints().links:
        expected = [part for geom in link.geoms if geom.collides for part in parts(geom, dialect)]
        found = pybullet.getCollisionShapeData(body, names.get(link.name, -1), client)
        # Bullet gives the frame of a shape in that of the inertia.
        com, quat = pybullet.getDynamicsInfo(body, names.get(link.name, -1), client)[3:5]
        inertial = Pose(np.array(com), wxyz_from_xyzw(quat))
        assert [shape[2] for shape in found] == [kind for kind, _, _ in expected]
        for shape, (_, sizes, pose) in zip(found, expected, strict=True):
            np.testing.assert_allclose(shape[3][: len(sizes)], sizes, atol=TOLERANCE)
            placed = inertial @ Pose(np.array(shape[5]), wxyz_from_xyzw(shape[6]))
            np.testing.assert_allclose(placed.pos, pose.pos, atol=TOLERANCE)
            assert_same_rotation(placed.quat, pose.quat, TOLERANCE)


def parts(geom: Geom, dialect: Dialect) -> list[tuple[int, list[float], Pose]]:
    """What Bullet should make of a geom: type, sizes as it gives them (full lengths, length before radius), pose."""
    if geom.shape == "box":
        return [(pybullet.GEOM_BOX, [2 * half for half in geom.size], geom.pose)]
    if geom.shape == "sphere":
        return [(pybullet.GEOM_SPHERE, [geom.size[0]], geom.pose)]
    radius, half = geom.size
    if geom.shape == "capsule" and dialect == "pybullet":
        return [(pybullet.GEOM_CAPSULE, [2 * half, radius], geom.pose)]
    cylinder = (pybullet.GEOM_CYLINDER, [2 * half, radius], geom.pose)
    if geom.shape == "cylinder":
        return [cylinder]
    unturned = np.array([1.0, 0.0, 0.0, 0.0])
    ends = [Pose(geom.pose.point([0, 0, z]), unturned) for z in (-half, half)]
    return [cylinder, *((pybullet.GEOM_SPHERE, [radius], end) for end in ends)]


def test_a_site_of_a_links_name_gets_one_of_its_own(tmp_path: Path) -> None:
    robot = robots.load("unitree_go2")
    text = robot.mjcf.read_text().replace('<site name="imu"', '<site name="FL_hip"')
    (tmp_path / "robot.xml").write_text(text)
    root = ElementTree.fromstring(to_urdf(replace(robot, mjcf=tmp_path / "robot.xml")))
    names = [link.get("name") for link in root.iter("link")]
    assert len(names) == len(set(names))
    assert "FL_hip_site" in names


def test_a_joint_without_limits_is_continuous(tmp_path: Path) -> None:
    robot = robots.load("cartpole")
    text = robot.mjcf.read_text().replace('range="-3.1415926 3.1415926"', "")
    (tmp_path / "robot.xml").write_text(text)
    root = ElementTree.fromstring(to_urdf(replace(robot, mjcf=tmp_path / "robot.xml")))
    assert [joint.get("type") for joint in root.iter("joint")] == ["fixed", "prismatic", "continuous"]


def test_the_text_holds_no_more_than_urdf_knows() -> None:
    root = ElementTree.fromstring(to_urdf(robots.load("unitree_go2")))
    known = {"box", "cylinder", "sphere"}
    assert {shape.tag for geometry in root.iter("geometry") for shape in geometry} == known
    assert {child.tag for child in root} == {"link", "joint"}
