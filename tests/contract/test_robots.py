"""What every robot folder promises, and how robots are found by name."""

import subprocess
import sys
from dataclasses import replace

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
    with pytest.raises(UsageError, match="known are cartpole, unitree_go2"):
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
    free = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
    assert free.sum() == (0 if robot.fixed_base else 1)
    if not robot.fixed_base:
        assert model.jnt_bodyid[0] == model.body(robot.base_body).id


def test_joints_are_in_the_order_of_the_model(robot: Robot, model: mujoco.MjModel) -> None:
    moving = range(0 if robot.fixed_base else 1, model.njnt)
    assert tuple(model.joint(i).name for i in moving) == robot.joint_names
    kinds = {"hinge": int(mujoco.mjtJoint.mjJNT_HINGE), "slide": int(mujoco.mjtJoint.mjJNT_SLIDE)}
    assert [int(model.jnt_type[i]) for i in moving] == [kinds[joint.kind] for joint in robot.joints]
    np.testing.assert_array_equal(model.jnt_range[moving], np.stack([robot.joint_lower, robot.joint_upper], axis=1))
    assert model.jnt_limited[moving].all()


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


def test_a_joint_without_a_motor_has_no_gains(robot: Robot) -> None:
    for joint in robot.joints:
        assert (joint.kp == joint.kd == 0.0) if joint.passive else joint.kp > 0.0
    assert robot.actuated, "something moves the robot"
    with pytest.raises(ValueError, match=f"joint {robot.joints[0].name}: gains kp 5.0"):
        replace(robot.joints[0], effort_limit=0.0, kp=5.0)


@pytest.mark.parametrize("robot", [name for name in robots.names() if robots.load(name).imu], indirect=True)
def test_imu_site_is_where_the_facts_say(robot: Robot, model: mujoco.MjModel) -> None:
    assert robot.imu is not None
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


@pytest.mark.parametrize("robot", [name for name in robots.names() if robots.load(name).mirror], indirect=True)
def test_mirroring_twice_changes_nothing(robot: Robot) -> None:
    assert robot.mirror is not None
    permutation, sign = np.array(robot.mirror.joint_permutation), np.array(robot.mirror.joint_sign)
    assert sorted(permutation) == list(range(robot.num_joints))
    q = np.random.default_rng(0).normal(size=robot.num_joints)
    np.testing.assert_array_equal(sign * (sign * q[permutation])[permutation], q)


def test_every_figure_has_a_source(robot: Robot) -> None:
    assert robot.sources
    assert all(source.what and source.where for source in robot.sources)
