"""What every robot folder promises, and how robots are found by name."""

import subprocess
import sys

import mujoco
import numpy as np
import pytest

from contract import robots
from contract.errors import UsageError
from contract.robot import Robot

COLLISION_GROUP, VISUAL_GROUP = 3, 2


@pytest.fixture(params=robots.names())
def robot(request: pytest.FixtureRequest) -> Robot:
    return robots.load(request.param)


@pytest.fixture
def model(robot: Robot) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(robot.mjcf))


def test_names_are_sorted_and_loadable() -> None:
    assert "unitree_go2" in robots.names()
    assert robots.names() == sorted(robots.names())


def test_a_robot_is_loaded_by_its_folder_name(robot: Robot) -> None:
    assert robots.load(robot.name) is robot


@pytest.mark.parametrize("asked", ["unitree_go1", "Unitree-Go2", "go2", "unitreego2"])
def test_a_near_miss_names_the_robot_meant(asked: str) -> None:
    with pytest.raises(UsageError, match=rf"unknown robot '{asked}'.*did you mean 'unitree_go2'"):
        robots.load(asked)


@pytest.mark.parametrize("asked", ["", "qqqq", "unitree_go2.evil", "../unitree_go2", "__pycache__"])
def test_nonsense_gets_the_list_of_known_robots(asked: str) -> None:
    with pytest.raises(UsageError, match="known are unitree_go2"):
        robots.load(asked)


def test_listing_names_imports_no_robot() -> None:
    code = """if True:
        import sys
        from contract import robots
        robots.names()
        print("contract.robots.unitree_go2" in sys.modules)
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_the_model_is_the_robot_alone(robot: Robot, model: mujoco.MjModel) -> None:
    assert model.nu == 0
    assert model.nsensor == 0
    assert not any(model.geom_bodyid == 0), "a geom is fixed to the world"
    assert model.body(robot.base_body).parentid == 0
    assert model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
    assert model.jnt_bodyid[0] == model.body(robot.base_body).id


def test_joints_are_in_the_order_of_the_model(robot: Robot, model: mujoco.MjModel) -> None:
    assert tuple(model.joint(i).name for i in range(1, model.njnt)) == robot.joint_names
    assert (model.jnt_type[1:] == mujoco.mjtJoint.mjJNT_HINGE).all()
    np.testing.assert_array_equal(model.jnt_range[1:], np.stack([robot.joint_lower, robot.joint_upper], axis=1))
    assert model.jnt_limited[1:].all()


def test_robot_arrays_have_one_entry_a_joint(robot: Robot) -> None:
    for array in (
        robot.joint_lower,
        robot.joint_upper,
        robot.joint_velocity_limit,
        robot.joint_effort_limit,
        robot.default_joint_pos,
        robot.kp,
        robot.kd,
    ):
        assert array.shape == (robot.num_joints,)
        assert array.dtype == np.float64
    assert len(robot.rest_pose) == robot.num_joints


@pytest.mark.parametrize("pose", ["default_joint_pos", "rest_pose"])
def test_poses_keep_away_from_the_joint_limits(robot: Robot, pose: str) -> None:
    q = np.asarray(getattr(robot, pose))
    assert (q >= robot.joint_lower + 0.05).all()
    assert (q <= robot.joint_upper - 0.05).all()


def test_imu_site_is_where_the_facts_say(robot: Robot, model: mujoco.MjModel) -> None:
    site = model.site(robot.imu.site)
    assert model.body(site.bodyid[0]).name == robot.imu.body
    np.testing.assert_array_equal(site.pos, robot.imu.pos)
    np.testing.assert_array_equal(site.quat, robot.imu.quat)


def test_feet_are_collision_spheres_of_their_bodies(robot: Robot, model: mujoco.MjModel) -> None:
    for foot in robot.feet:
        geom = model.geom(foot.geom)
        assert geom.type == mujoco.mjtGeom.mjGEOM_SPHERE
        assert geom.group == COLLISION_GROUP
        assert geom.size[0] == foot.radius
        assert model.body(geom.bodyid[0]).name == foot.body


def test_collision_bits_meet_the_ground_and_not_each_other(model: mujoco.MjModel) -> None:
    collision = model.geom_group == COLLISION_GROUP
    assert (model.geom_contype[collision] == 0).all()
    assert (model.geom_conaffinity[collision] == 1).all()
    assert (model.geom_priority[collision] == 1).all()
    assert all(model.geom(i).name for i in np.flatnonzero(collision)), "every collision geom has a name"


def test_visual_geoms_do_not_collide(model: mujoco.MjModel) -> None:
    visual = model.geom_group == VISUAL_GROUP
    assert visual.any()
    assert (model.geom_contype[visual] == 0).all()
    assert (model.geom_conaffinity[visual] == 0).all()
    assert (visual | (model.geom_group == COLLISION_GROUP)).all(), "a geom is neither visual nor collision"


def test_mirroring_twice_changes_nothing(robot: Robot) -> None:
    permutation, sign = np.array(robot.mirror.joint_permutation), np.array(robot.mirror.joint_sign)
    assert sorted(permutation) == list(range(robot.num_joints))
    q = np.random.default_rng(0).normal(size=robot.num_joints)
    np.testing.assert_array_equal(sign * (sign * q[permutation])[permutation], q)


def test_every_figure_has_a_source(robot: Robot) -> None:
    assert robot.sources
    assert all(source.what and source.where for source in robot.sources)
