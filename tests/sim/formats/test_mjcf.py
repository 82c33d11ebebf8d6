"""MJCF with motors and sensors: MuJoCo compiles it, and it is the same robot."""

import mujoco
import numpy as np
import pytest

from contract import robots
from contract.robot import Robot
from sim.formats.mjcf import KEYFRAME, to_mjcf


@pytest.fixture(params=robots.shipped())
def robot(request: pytest.FixtureRequest) -> Robot:
    return robots.load(request.param)


def test_the_robot_itself_is_untouched(robot: Robot) -> None:
    bare = mujoco.MjModel.from_xml_path(str(robot.mjcf))
    full = mujoco.MjModel.from_xml_string(to_mjcf(robot))
    for field in (
        "body_mass",
        "body_inertia",
        "body_ipos",
        "body_pos",
        "jnt_axis",
        "jnt_range",
        "geom_size",
        "geom_pos",
    ):
        np.testing.assert_array_equal(getattr(full, field), getattr(bare, field))


def test_motors_have_the_robots_gains_and_limits(robot: Robot) -> None:
    model = mujoco.MjModel.from_xml_string(to_mjcf(robot))
    motors = [joint for joint in robot.joints if not joint.passive]
    assert [model.actuator(i).name for i in range(model.nu)] == [joint.name for joint in motors]
    for joint in motors:
        actuator = model.actuator(joint.name)
        assert actuator.gainprm[0] == joint.kp
        assert actuator.biasprm[:3].tolist() == [0.0, -joint.kp, -joint.kd]
        assert actuator.forcerange.tolist() == [-joint.effort_limit, joint.effort_limit]
        assert actuator.ctrlrange.tolist() == [joint.lower, joint.upper]


def test_the_keyframe_is_the_default_pose_and_its_targets(robot: Robot) -> None:
    model = mujoco.MjModel.from_xml_string(to_mjcf(robot))
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key(KEYFRAME).id)
    for joint in robot.joints:
        assert data.joint(joint.name).qpos[0] == joint.default_pos
        assert data.sensor(f"{joint.name}_pos").data.shape == (1,)
        if not joint.passive:
            assert data.ctrl[model.actuator(joint.name).id] == joint.default_pos


def test_go2_stands_on_the_floor_and_its_imu_feels_gravity() -> None:
    robot = robots.load("unitree_go2")
    model = mujoco.MjModel.from_xml_string(to_mjcf(robot, floor=True))
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_step(model, data, 2000)
    assert 0.25 < data.qpos[2] < robot.standing_height
    np.testing.assert_allclose(data.sensor("imu_quat").data, [1, 0, 0, 0], atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(data.sensor("imu_acc").data), 9.81, atol=0.1)
    assert np.abs(data.sensor("FL_calf_joint_torque").data) > 1.0


def test_without_a_floor_there_is_none() -> None:
    model = mujoco.MjModel.from_xml_string(to_mjcf(robots.load("unitree_go2")))
    assert not (model.geom_bodyid == 0).any()
