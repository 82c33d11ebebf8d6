"""Where a robot's parts are and how close they come, against MuJoCo's kinematics and a search by brute force."""

import dataclasses

import made_up_arm
import mujoco
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contract import robots
from contract.robot import Robot
from contract.rotations import quat_multiply, quat_to_matrix
from deploy_robot.geometry import Geometry
from deploy_robot.kinematics import Skeleton, segment_distance
from deploy_robot.monitors import world_up

GO2 = robots.load("unitree_go2")
GO2_MODEL = mujoco.MjModel.from_xml_path(str(GO2.mjcf))  # read only
ARM_MODEL = mujoco.MjModel.from_xml_string(made_up_arm.MJCF)
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])

coordinates = hnp.arrays(np.float64, (4, 3), elements=st.floats(-1.0, 1.0))


def poses(robot: Robot, count: int = 40) -> np.ndarray:
    """All over the joints' ranges, (count, num_joints)."""
    return np.random.default_rng(5).uniform(robot.joint_lower, robot.joint_upper, (count, robot.num_joints))


def in_mujoco(model: mujoco.MjModel, joint_pos: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    if model.nq > len(joint_pos):
        data.qpos[:7] = 0, 0, 0, *LEVEL
    data.qpos[-len(joint_pos) :] = joint_pos
    mujoco.mj_kinematics(model, data)
    return data


@pytest.mark.parametrize("robot", [GO2, made_up_arm.ARM], ids=lambda robot: robot.name)
def test_points_are_where_mujoco_puts_them(robot: Robot) -> None:
    model = GO2_MODEL if robot is GO2 else ARM_MODEL
    offset = (0.1, -0.2, 0.3)
    skeleton = Skeleton(robot, [("", offset), *((link.joint, offset) for link in robot.links)])
    for pose in poses(robot):
        data = in_mujoco(model, pose)
        bodies = [model.body(robot.base_body).id, *(model.joint(link.joint).bodyid[0] for link in robot.links)]
        expected = [data.xpos[body] + data.xmat[body].reshape(3, 3) @ offset for body in bodies]
        np.testing.assert_allclose(skeleton.points(pose), expected, atol=1e-12)


def test_a_batch_is_its_robots_and_torch_agrees() -> None:
    geometry, batch = Geometry(GO2), poses(GO2, 6).reshape(2, 3, 12)
    quats = np.random.default_rng(6).normal(size=(2, 3, 4))
    points = geometry.points(batch)
    assert points.shape == (2, 3, 2 * len(GO2.capsules) + 4, 3)
    clearances, heights = geometry.clearances(points), geometry.base_height(points, world_up(quats))
    for i in np.ndindex(2, 3):
        one = geometry.points(batch[i])
        np.testing.assert_allclose(points[i], one, atol=1e-12)
        np.testing.assert_allclose(clearances[i], geometry.clearances(one), atol=1e-9)
        assert heights[i] == pytest.approx(geometry.base_height(one, world_up(quats[i])))
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        tensor = geometry.points(torch.from_numpy(batch).to(dtype))
        assert tensor.dtype is dtype
        np.testing.assert_allclose(tensor.numpy(), points, atol=tolerance)
        np.testing.assert_allclose(geometry.clearances(tensor).numpy(), clearances, atol=tolerance)
        together = geometry.base_height(tensor, world_up(torch.from_numpy(quats).to(dtype)))
        np.testing.assert_allclose(together.numpy(), heights, atol=tolerance)


def test_clearances_are_those_that_mujoco_finds() -> None:
    geometry, spec = Geometry(GO2), mujoco.MjSpec.from_file(str(GO2.mjcf))
    for capsule in GO2.capsules:
        joint = next((j for j in spec.joints if j.name == capsule.link), None)
        body = joint.parent if joint else spec.body(GO2.base_body)
        same = capsule.start == capsule.end
        kind = mujoco.mjtGeom.mjGEOM_SPHERE if same else mujoco.mjtGeom.mjGEOM_CAPSULE
        place = {"pos": capsule.start} if same else {"fromto": [*capsule.start, *capsule.end]}
        body.add_geom(name=f"part_{capsule.name}", type=kind, size=[capsule.radius, 0, 0], mass=0.0, **place)
    model = spec.compile()
    for pose in poses(GO2, 25):
        data = in_mujoco(model, pose)
        expected = [
            mujoco.mj_geomDistance(model, data, *(model.geom(f"part_{name}").id for name in pair), 5.0, None)
            for pair in GO2.capsule_pairs
        ]
        np.testing.assert_allclose(geometry.clearances(geometry.points(pose)), expected, atol=1e-6)


def test_all_parts_that_can_meet_are_watched() -> None:
    """Pairs that are left out, but for neighbours in a leg, stay apart wherever the joints are."""
    parts = [capsule.name for capsule in GO2.capsules]
    left_out = tuple(
        (one, other)
        for i, one in enumerate(parts)
        for other in parts[i + 1 :]
        if (one, other) not in GO2.capsule_pairs and one[:2] != other[:2] and {one, other} != {"trunk", "head"}
    )
    assert left_out
    geometry = Geometry(dataclasses.replace(GO2, capsule_pairs=left_out))
    for name, clearance in zip(
        geometry.pairs, geometry.clearances(geometry.points(poses(GO2, 20000))).min(axis=0), strict=True
    ):
        assert clearance > 0.0, name


@given(coordinates)
@example(np.zeros((4, 3)))
@example(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]))  # parallel
@example(np.array([[0.0, 0, 0], [1, 0, 0], [2, 1, 0], [3, 1, 0]]))  # parallel, one after the other
@example(np.array([[0.0, 0, 0], [1, 0, 0], [0.5, 0, 0], [2, 0, 0]]))  # on one line
@example(np.array([[0.0, 0, 0], [0, 0, 0], [1, -1, 0], [1, 1, 0]]))  # a point
@example(np.array([[0.0, 0, 0], [1, 0, 0], [0.3, 1, 0], [0.3, 1, 0]]))
def test_segment_distance_is_the_least_over_all_points(ends: np.ndarray) -> None:
    share = np.linspace(0.0, 1.0, 81)[:, None]
    on_a, on_b = (ends[i] + share * (ends[i + 1] - ends[i]) for i in (0, 2))
    found = np.linalg.norm(on_a[:, None] - on_b[None], axis=-1).min()
    lengths = np.linalg.norm(ends[1] - ends[0]) + np.linalg.norm(ends[3] - ends[2])
    distance = segment_distance(ends)
    assert distance <= found + 1e-6
    assert distance >= found - lengths / 80
    assert segment_distance(ends[[2, 3, 0, 1]]) == pytest.approx(distance, abs=1e-6)
    assert segment_distance(ends[[1, 0, 3, 2]]) == pytest.approx(distance, abs=1e-6)
    assert segment_distance(torch.from_numpy(ends)).item() == pytest.approx(distance, abs=1e-6)


@given(coordinates, st.integers(0, 3), st.integers(0, 2), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_segment_that_is_nowhere_is_at_no_distance(ends: np.ndarray, i: int, j: int, bad: float) -> None:
    ends[i, j] = bad
    with np.errstate(invalid="ignore"):
        assert np.isnan(segment_distance(ends))


def test_base_height_is_that_above_the_lowest_foot_however_it_leans() -> None:
    mount = (0.8, 0.0, 0.6, 0.0)
    robot = dataclasses.replace(GO2, imu=dataclasses.replace(GO2.imu, quat=mount))
    geometry = Geometry(robot)
    for pose, seed in zip(poses(GO2, 20), range(20), strict=True):
        world_from_base = np.random.default_rng(seed).normal(size=4)
        world_from_base /= np.linalg.norm(world_from_base)
        data = in_mujoco(GO2_MODEL, pose)
        feet = np.array([data.geom(foot.geom).xpos for foot in GO2.feet])
        lowest = (feet @ quat_to_matrix(world_from_base).T)[:, 2].min() - GO2.feet[0].radius
        height = geometry.base_height(geometry.points(pose), world_up(quat_multiply(world_from_base, mount)))
        assert height == pytest.approx(-lowest)
    default = geometry.points(GO2.default_joint_pos)
    assert geometry.base_height(default, world_up(np.array(mount))) == pytest.approx(GO2.standing_height, abs=1e-4)


def test_tool_position_of_an_arm() -> None:
    geometry = Geometry(made_up_arm.ARM)
    for pose in poses(made_up_arm.ARM):
        expected = in_mujoco(ARM_MODEL, pose).site("tool").xpos
        np.testing.assert_allclose(geometry.tool_position(geometry.points(pose)), expected, atol=1e-12)


def test_links_that_lead_nowhere_are_refused() -> None:
    lost = tuple(link for link in made_up_arm.ARM.links if link.joint != "elbow")
    with pytest.raises(ValueError, match="robot arm: link extension: not a joint, or no way leads"):
        Skeleton(dataclasses.replace(made_up_arm.ARM, links=lost), [])
