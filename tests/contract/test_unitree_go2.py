"""The Go2 against its maker's figures, and whether it stands, lies and mirrors.

The figures are those of unitreerobotics/unitree_ros, robots/go2_description/urdf/go2_description.urdf, commit
3b6a691e72e94f2bb01551ece843af9bf1f353d6, typed from there and not from robot.xml.
"""

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract import robots, rotations

Array = NDArray[np.float64]

ROBOT = robots.load("unitree_go2")
MODEL = mujoco.MjModel.from_xml_path(str(ROBOT.mjcf))  # read only
LEGS = ("FL", "FR", "RL", "RR")
# (mass kg, centre of mass m, (ixx, iyy, izz, ixy, ixz, iyz) kg m^2 about it) of each link, by URDF name.
POINT = (0.0, 0.0, 0.0)
SMALL = (9.6e-06, 9.6e-06, 9.6e-06, 0.0, 0.0, 0.0)
LINKS = {
    "base": (6.921, (0.021112, 0, -0.005366), (0.02448, 0.098077, 0.107, 0.00012166, 0.0014849, -3.12e-05)),
    "Head_upper": (0.001, POINT, SMALL),
    "Head_lower": (0.001, POINT, SMALL),
    "FL_hip": (
        0.678,
        (-0.0054, 0.00194, -0.000105),
        (0.00048, 0.000884, 0.000596, -3.01e-06, 1.11e-06, -1.42e-06),
    ),
    "FR_hip": (
        0.678,
        (-0.0054, -0.00194, -0.000105),
        (0.00048, 0.000884, 0.000596, 3.01e-06, 1.11e-06, 1.42e-06),
    ),
    "RL_hip": (
        0.678,
        (0.0054, 0.00194, -0.000105),
        (0.00048, 0.000884, 0.000596, 3.01e-06, -1.11e-06, -1.42e-06),
    ),
    "RR_hip": (
        0.678,
        (0.0054, -0.00194, -0.000105),
        (0.00048, 0.000884, 0.000596, -3.01e-06, -1.11e-06, 1.42e-06),
    ),
    "L_thigh": (
        1.152,
        (-0.00374, -0.0223, -0.0327),
        (0.00584, 0.0058, 0.00103, 8.72e-05, -0.000289, 0.000808),
    ),
    "R_thigh": (
        1.152,
        (-0.00374, 0.0223, -0.0327),
        (0.00584, 0.0058, 0.00103, -8.72e-05, -0.000289, -0.000808),
    ),
    "L_calf": (
        0.154,
        (0.00548, -0.000975, -0.115),
        (0.00108, 0.0011, 3.29e-05, 3.4e-07, 1.72e-05, 8.28e-06),
    ),
    "R_calf": (
        0.154,
        (0.00548, 0.000975, -0.115),
        (0.00108, 0.0011, 3.29e-05, -3.4e-07, 1.72e-05, -8.28e-06),
    ),
    "foot": (0.04, POINT, SMALL),
}
# Origins of the links that the URDF fixes to another, in the other's frame.
HEAD_UPPER, HEAD_LOWER = (0.285, 0.0, 0.01), (0.285 + 0.008, 0.0, 0.01 - 0.07)
FOOT = (0.0, 0.0, -0.213)
# Lower, upper (rad), velocity (rad/s), effort (N m).
HIP = (-1.0472, 1.0472, 30.1, 23.7)
FRONT_THIGH = (-1.5708, 3.4907, 30.1, 23.7)
REAR_THIGH = (-0.5236, 4.5379, 30.1, 23.7)
CALF = (-2.7227, -0.83776, 20.07, 35.55)
JOINTS = {
    f"{leg}_{part}_joint": figures
    for leg in LEGS
    for part, figures in (
        ("hip", HIP),
        ("thigh", FRONT_THIGH if leg[0] == "F" else REAR_THIGH),
        ("calf", CALF),
    )
}


def _links_of(body: str) -> list[tuple[str, tuple[float, float, float]]]:
    """URDF links that one body of the model stands for, with their origins in its frame."""
    leg, _, part = body.partition("_")
    if body == "base":
        return [("base", POINT), ("Head_upper", HEAD_UPPER), ("Head_lower", HEAD_LOWER)]
    if part == "hip":
        return [(body, POINT)]
    if part == "thigh":
        return [(f"{leg[1]}_thigh", POINT)]
    return [(f"{leg[1]}_calf", POINT), ("foot", FOOT)]


def _composite(body: str) -> tuple[float, Array, Array]:
    """Mass, centre of mass and inertia (3, 3) about it of joined links, by the parallel axis theorem."""
    parts = []
    for link, origin in _links_of(body):
        mass, com, (xx, yy, zz, xy, xz, yz) = LINKS[link]
        inertia = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        parts.append((mass, np.array(com) + np.array(origin), inertia))
    total = sum(mass for mass, _, _ in parts)
    centre = sum(mass * com for mass, com, _ in parts) / total
    inertia = np.zeros((3, 3))
    for mass, com, own in parts:
        arm = com - centre
        inertia += own + mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return total, centre, inertia


def test_total_mass() -> None:
    legs = 0.678 + 1.152 + 0.154 + 0.04
    assert MODEL.body_mass.sum() == pytest.approx(6.921 + 2 * 0.001 + 4 * legs, abs=1e-9)


@pytest.mark.parametrize("body", ["base", *(f"{leg}_{part}" for leg in LEGS for part in ("hip", "thigh", "calf"))])
def test_mass_and_inertia_of_each_body(body: str) -> None:
    mass, centre, inertia = _composite(body)
    got = MODEL.body(body)
    assert got.mass[0] == pytest.approx(mass, abs=1e-9)
    np.testing.assert_allclose(got.ipos, centre, atol=1e-9)
    axes = rotations.quat_to_matrix(got.iquat)
    # MuJoCo's principal axes are good to about 5e-7 of the largest inertia.
    np.testing.assert_allclose(axes @ np.diag(got.inertia) @ axes.T, inertia, rtol=0, atol=1e-6 * np.trace(inertia))


@pytest.mark.parametrize("leg", LEGS)
def test_link_lengths(leg: str) -> None:
    front, left = (1 if leg[0] == "F" else -1), (1 if leg[1] == "L" else -1)
    np.testing.assert_allclose(MODEL.body(f"{leg}_hip").pos, [0.1934 * front, 0.0465 * left, 0], atol=1e-12)
    np.testing.assert_allclose(MODEL.body(f"{leg}_thigh").pos, [0, 0.0955 * left, 0], atol=1e-12)
    np.testing.assert_allclose(MODEL.body(f"{leg}_calf").pos, [0, 0, -0.213], atol=1e-12)
    np.testing.assert_allclose(MODEL.geom(f"{leg}_foot").pos, [-0.002, 0, -0.213], atol=1e-12)
    assert MODEL.geom(f"{leg}_foot").size[0] == 0.022


def test_joint_limits() -> None:
    assert set(ROBOT.joint_names) == set(JOINTS)
    for joint in ROBOT.joints:
        figures = (joint.lower, joint.upper, joint.velocity_limit, joint.effort_limit)
        assert figures == JOINTS[joint.name], joint.name


def test_joint_ranges_and_axes_of_the_model() -> None:
    for name, (lower, upper, _, _) in JOINTS.items():
        joint = MODEL.joint(name)
        assert tuple(joint.range) == (lower, upper), name
        assert tuple(joint.axis) == ((1, 0, 0) if "_hip_" in name else (0, 1, 0)), name


def test_armature_and_dry_friction_are_menageries() -> None:
    np.testing.assert_array_equal(MODEL.dof_armature[6:], 0.01)
    np.testing.assert_array_equal(MODEL.dof_frictionloss[6:], 0.2)


def test_imu_mount() -> None:
    assert ROBOT.imu.pos == (-0.02557, 0.0, 0.04232)
    assert ROBOT.imu.quat == (1.0, 0.0, 0.0, 0.0)


def _foot_positions(joint_pos: Array) -> Array:
    """Centres of the feet (4, 3) in the base frame, in the order of ROBOT.feet."""
    data = mujoco.MjData(MODEL)
    data.qpos[3:7] = 1, 0, 0, 0
    data.qpos[:3] = 0
    data.qpos[7:] = joint_pos
    mujoco.mj_kinematics(MODEL, data)
    return np.array([data.geom(foot.geom).xpos for foot in ROBOT.feet])


def test_standing_height_puts_the_lowest_foot_on_the_ground() -> None:
    feet = _foot_positions(ROBOT.default_joint_pos)
    assert ROBOT.standing_height == pytest.approx(ROBOT.feet[0].radius - feet[:, 2].min(), abs=1e-4)


@given(st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12))
def test_a_mirrored_pose_has_mirrored_feet(fractions: list[float]) -> None:
    pose = ROBOT.joint_lower + np.array(fractions) * (ROBOT.joint_upper - ROBOT.joint_lower)
    mirrored = np.array(ROBOT.mirror.joint_sign) * pose[list(ROBOT.mirror.joint_permutation)]
    left_right = [1, 0, 3, 2]
    expected = (_foot_positions(pose) * [1, -1, 1])[left_right]
    np.testing.assert_allclose(_foot_positions(mirrored), expected, atol=1e-12)


def test_default_pose_is_its_own_mirror_image() -> None:
    for pose in (ROBOT.default_joint_pos, np.array(ROBOT.rest_pose)):
        mirrored = np.array(ROBOT.mirror.joint_sign) * pose[list(ROBOT.mirror.joint_permutation)]
        np.testing.assert_array_equal(mirrored, pose)


def _on_the_floor(timestep: float = 0.002) -> mujoco.MjModel:
    spec = mujoco.MjSpec.from_file(str(ROBOT.mjcf))
    spec.option.timestep = timestep
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=1, conaffinity=0)
    return spec.compile()


def _simulate(model: mujoco.MjModel, height: float, pose: Array, kp: Array, kd: Array, seconds: float) -> mujoco.MjData:
    """Put down at `height` in `pose` and held there by PD torques within the effort limits."""
    data = mujoco.MjData(model)
    data.qpos[:7] = 0, 0, height, 1, 0, 0, 0
    data.qpos[7:] = pose
    for _ in range(round(seconds / model.opt.timestep)):
        torque = kp * (pose - data.qpos[7:]) - kd * data.qvel[6:]
        data.qfrc_applied[6:] = np.clip(torque, -ROBOT.joint_effort_limit, ROBOT.joint_effort_limit)
        mujoco.mj_step(model, data)
    return data


def _touching(model: mujoco.MjModel, data: mujoco.MjData) -> set[str]:
    names = {model.geom(geom).name for contact in data.contact for geom in contact.geom}
    return names - {"floor"}


FEET = {foot.geom for foot in ROBOT.feet}


def test_stands_on_its_feet_with_its_own_gains() -> None:
    """25 N m/rad gives way by some 6 cm under 15 kg; it must do so level, still, and on the feet alone."""
    model = _on_the_floor()
    data = _simulate(model, ROBOT.standing_height, ROBOT.default_joint_pos, ROBOT.kp, ROBOT.kd, 3.0)
    assert 0.25 < data.qpos[2] < ROBOT.standing_height
    assert rotations.tilt(data.qpos[3:7]) < 0.1
    assert np.hypot(data.qpos[0], data.qpos[1]) < 0.06
    assert np.abs(data.qvel).max() < 0.1
    assert _touching(model, data) == FEET


def test_stands_at_its_standing_height_with_stiff_gains() -> None:
    model = _on_the_floor()
    data = _simulate(model, ROBOT.standing_height, ROBOT.default_joint_pos, 8 * ROBOT.kp, 8 * ROBOT.kd, 3.0)
    assert data.qpos[2] == pytest.approx(ROBOT.standing_height, abs=0.03)
    assert rotations.tilt(data.qpos[3:7]) < 0.1
    assert _touching(model, data) == FEET


def test_lies_on_its_belly_in_the_rest_pose_without_power() -> None:
    model = _on_the_floor()
    pose = np.array(ROBOT.rest_pose)
    data = _simulate(model, 0.12, pose, 0 * ROBOT.kp, 2 * ROBOT.kd, 2.0)
    assert "base_box" in _touching(model, data)
    assert rotations.tilt(data.qpos[3:7]) < 0.05
    assert np.abs(data.qvel).max() < 0.1
    np.testing.assert_allclose(data.qpos[7:], pose, atol=0.25)


@pytest.mark.parametrize("pose", [ROBOT.default_joint_pos, np.array(ROBOT.rest_pose)])
def test_geoms_of_the_robot_never_touch_each_other(pose: Array) -> None:
    """In mid-air, folded and unfolded, there is no contact at all."""
    model = _on_the_floor()
    data = mujoco.MjData(model)
    data.qpos[:7] = 0, 0, 1, 1, 0, 0, 0
    data.qpos[7:] = pose
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_only_the_collision_geoms_meet_the_floor() -> None:
    """Halfway into the floor every collision geom touches and no visual one does."""
    model = _on_the_floor()
    data = mujoco.MjData(model)
    data.qpos[:7] = 0, 0, 0, 1, 0, 0, 0
    data.qpos[7:] = ROBOT.rest_pose
    mujoco.mj_forward(model, data)
    assert _touching(model, data) == {"base_box", "head", *FEET, *(f"{leg}_thigh_collision" for leg in LEGS)}


def test_the_robots_friction_decides() -> None:
    model = _on_the_floor()
    model.geom_friction[[model.geom(name).id for name in FEET], 0] = 0.3
    data = _simulate(model, ROBOT.standing_height, ROBOT.default_joint_pos, ROBOT.kp, ROBOT.kd, 0.1)
    assert data.ncon > 0
    assert {contact.friction[0] for contact in data.contact} == {0.3}
