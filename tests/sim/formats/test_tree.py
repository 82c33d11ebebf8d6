"""A robot as a tree of links and joints: as MuJoCo has it, and with the frames moved to the joints."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
from nasty_robots import assert_same_rotation, nasty_robot, posed, random_pose

from contract import robots
from contract.errors import UsageError
from contract.robot import Joint, Robot, Source
from sim.formats.links import Pose
from sim.formats.tree import read_tree

SEEDS = range(6)
JOINT = '<joint name="knee" axis="0 1 0" range="-1 1"/>'
INERTIAL = '<inertial mass="1" pos="0 0 0" diaginertia="1 1 1"/>'


@pytest.fixture(params=SEEDS)
def robot(request: pytest.FixtureRequest, tmp_path: Path) -> Robot:
    return nasty_robot(tmp_path, request.param, fixed_base=bool(request.param % 2))


def test_links_are_where_mujoco_has_them(robot: Robot) -> None:
    q = random_pose(robot)
    _, data = posed(robot, q)
    for name, pose in read_tree(robot).world_poses(q).items():
        np.testing.assert_allclose(pose.pos, data.body(name).xpos, atol=1e-12)
        assert_same_rotation(pose.quat, data.body(name).xquat, atol=1e-12)


def test_moved_frames_sit_on_the_joints_and_move_nothing_else(robot: Robot) -> None:
    q = random_pose(robot)
    _, data = posed(robot, q)
    tree = read_tree(robot).at_joints()
    poses = tree.world_poses(q)
    for link in tree.links:
        pose = poses[link.name]
        assert_same_rotation(pose.quat, data.body(link.name).xquat, atol=1e-12)
        np.testing.assert_allclose(pose.point(link.com), data.body(link.name).xipos, atol=1e-12)
        if link.joint.kind == "hinge":  # MuJoCo leaves the anchor of a slide where it starts
            np.testing.assert_allclose(pose.pos, data.joint(link.joint.name).xanchor, atol=1e-12)
        for geom in link.geoms:
            np.testing.assert_allclose((pose @ geom.pose).pos, data.geom(geom.name).xpos, atol=1e-12)
        for site in link.sites:
            np.testing.assert_allclose((pose @ site.pose).pos, data.site(site.name).xpos, atol=1e-12)


def test_moving_the_frames_twice_moves_them_once(robot: Robot) -> None:
    once = read_tree(robot).at_joints()
    for first, second in zip(once.links, once.at_joints().links, strict=True):
        np.testing.assert_array_equal(first.joint.origin.pos, second.joint.origin.pos)
        np.testing.assert_array_equal(first.com, second.com)


def test_inertia_is_the_tensor_in_the_links_axes(robot: Robot) -> None:
    model = mujoco.MjModel.from_xml_path(str(robot.mjcf))
    for link in read_tree(robot).links:
        body = model.body(link.name)
        axes = np.empty(9)
        mujoco.mju_quat2Mat(axes, body.iquat)
        axes = axes.reshape(3, 3)
        np.testing.assert_allclose(link.inertia, axes @ np.diag(body.inertia) @ axes.T, rtol=1e-12, atol=1e-15)
        assert link.mass == body.mass[0]


def test_a_pose_times_its_inverse_is_where_one_started() -> None:
    rng = np.random.default_rng(0)
    quat = rng.normal(size=4)
    pose = Pose(rng.normal(size=3), quat / np.linalg.norm(quat))
    point = rng.normal(size=3)
    np.testing.assert_allclose((pose.inverse() @ pose).point(point), point, atol=1e-12)
    np.testing.assert_allclose(pose.inverse().point(pose.point(point)), point, atol=1e-12)


def test_go2_has_its_joints_in_order_and_its_figures() -> None:
    robot = robots.load("unitree_go2")
    tree = read_tree(robot)
    assert tuple(joint.name for joint in tree.joints) == robot.joint_names
    assert tree.base.joint.kind == "free"
    assert sum(link.mass for link in tree.links) == pytest.approx(15.019)
    calf = tree.link("FR_calf")
    assert calf.parent == "FR_thigh"
    assert (calf.joint.damping, calf.joint.friction, calf.joint.armature) == (0.1, 0.2, 0.01)
    foot = next(geom for geom in calf.geoms if geom.name == "FR_foot")
    assert (foot.shape, foot.size, foot.collides, foot.friction) == ("sphere", (0.022,), True, (0.8, 0.005, 0.0001))
    assert [site.name for site in tree.base.sites] == ["imu"]


def test_a_link_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="tail"):
        read_tree(robots.load("unitree_go2")).link("tail")


@pytest.mark.parametrize(
    ("leg", "rest", "message"),
    [
        (JOINT + '<joint name="twist" axis="0 0 1"/>', "", "body 'leg' has 2 joints"),
        ('<joint name="knee" type="ball"/>', "", "joint 'knee' is neither a hinge nor a slide"),
        ('<joint name="knee" stiffness="3"/>', "", "joint 'knee' has a spring"),
        (JOINT + '<geom name="egg" type="ellipsoid" size=".1 .2 .3"/>', "", "geom 'egg' of body 'leg' is not a box"),
        (JOINT + '<body name="toe"/>', "", "body 'toe' weighs nothing"),
        (JOINT, '<equality><joint joint1="knee"/></equality>', "its MJCF has equality constraints"),
        (JOINT, '<tendon><fixed><joint joint="knee" coef="1"/></fixed></tendon>', "its MJCF has tendons"),
        ('<joint name="ankle" range="-1 1"/>', "", "joint 'ankle' of its MJCF is not among its joints"),
    ],
)
def test_what_a_tree_cannot_hold_is_refused_by_name(tmp_path: Path, leg: str, rest: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"one_leg: {message}"):
        read_tree(
            one_leg(tmp_path, f'<body name="base">{INERTIAL}<body name="leg">{INERTIAL}{leg}</body></body>', rest)
        )


def test_a_second_body_on_the_world_is_refused(tmp_path: Path) -> None:
    leg = f'<body name="base">{INERTIAL}</body><body name="leg">{INERTIAL}{JOINT}</body>'
    with pytest.raises(UsageError, match="must hang everything on the one body 'base'"):
        read_tree(one_leg(tmp_path, leg, ""))


def one_leg(folder: Path, world: str, rest: str) -> Robot:
    path = folder / "robot.xml"
    path.write_text(f"<mujoco><worldbody>{world}</worldbody>{rest}</mujoco>")
    knee = Joint("knee", lower=-1, upper=1, velocity_limit=1, effort_limit=1, default_pos=0, kp=1, kd=0)
    return Robot("one_leg", "", path, "base", (knee,), 1.0, (Source("all", "made up"),), fixed_base=True)
