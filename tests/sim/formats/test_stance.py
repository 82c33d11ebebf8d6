"""What geometry says about a robot: lowest points, feet, a pose on bent legs, left and right."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pybullet_data
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import robots
from sim.formats.importing.rigid import merged
from sim.formats.importing.shapes import fitted
from sim.formats.importing.stance import bent, height, legs, lowest, neutral, on_the_origin
from sim.formats.importing.symmetry import mirror
from sim.formats.importing.urdf_reader import read_urdf
from sim.formats.links import Geom, Pose, Shape
from sim.formats.tree import RobotTree, read_tree

LENGTH = st.floats(0.01, 0.5)
QUAT = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
A1 = Path(pybullet_data.getDataPath()) / "a1/a1.urdf"


@pytest.fixture(scope="module")
def go2() -> RobotTree:
    return read_tree(robots.load("unitree_go2"))


@given(
    shape=st.sampled_from(["box", "sphere", "capsule", "cylinder"]),
    sizes=st.tuples(LENGTH, LENGTH, LENGTH),
    quats=st.tuples(QUAT, QUAT),
    height=st.floats(2.0, 3.0),
)
def test_the_lowest_point_is_where_mujoco_meets_a_plane(
    shape: Shape, sizes: tuple[float, ...], quats: tuple, height: float
) -> None:
    size = sizes[: {"box": 3, "sphere": 1}.get(shape, 2)]
    link, own = (np.array(quat) / np.linalg.norm(quat) for quat in quats)
    offset = np.array([0.1, -0.2, 0.3])
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 1])
    kind = getattr(mujoco.mjtGeom, f"mjGEOM_{shape.upper()}")
    body = spec.worldbody.add_body(pos=[0, 0, height], quat=link)
    body.add_geom(name="it", type=kind, size=[*size, 0, 0][:3], pos=offset, quat=own)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    distance = mujoco.mj_geomDistance(model, data, model.geom("floor").id, model.geom("it").id, 10.0, np.empty(6))
    geom = Geom("it", shape, size, Pose(offset, own), (1.0, 1.0, 1.0, 1.0), (1.0, 0.0, 0.0), True)
    assert lowest(geom, Pose(np.array([0.0, 0.0, height]), link)) == pytest.approx(distance, abs=1e-6)


@given(half=st.tuples(LENGTH, LENGTH, LENGTH))
def test_a_fitted_primitive_fills_its_box(half: tuple[float, ...]) -> None:
    shape, size, turn = fitted(np.array(half))
    axes = np.empty(9)
    mujoco.mju_quat2Mat(axes, turn)
    own = {"box": size, "sphere": size * 3}.get(shape, (size[0], size[0], size[-1] + size[0]))
    extent = np.abs(axes.reshape(3, 3)) @ np.array(own)
    # Of the sides that a round shape makes equal, none was more than a quarter longer than another.
    np.testing.assert_allclose(extent, half, rtol=0.0 if shape == "box" else 0.26)
    assert np.max(extent) == pytest.approx(np.max(half), rel=1e-9 if shape != "sphere" else 0.26)


@pytest.mark.parametrize(
    ("half", "shape"),
    [
        ((1, 1, 1), "sphere"),
        ((1, 1.2, 1.1), "sphere"),
        ((1, 1, 4), "capsule"),
        ((4, 1, 1.1), "capsule"),
        ((1, 2, 4), "box"),
    ],
)
def test_the_fitted_primitive_is_the_one_that_a_person_would_take(half: tuple[float, ...], shape: Shape) -> None:
    assert fitted(np.array(half, dtype=float))[0] == shape


def test_go2_stands_on_its_feet(go2: RobotTree) -> None:
    found = legs(go2, neutral(go2))
    assert [leg.geom.name for leg in found] == ["FL_foot", "FR_foot", "RL_foot", "RR_foot"]
    assert [leg.joints for leg in found] == [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]


def test_feet_without_a_telling_name_are_the_lowest_ends(go2: RobotTree) -> None:
    def renamed(geom: Geom) -> Geom:
        return replace(geom, name=geom.name.replace("foot", "tip"))

    nameless = replace(go2, links=tuple(replace(link, geoms=tuple(map(renamed, link.geoms))) for link in go2.links))
    assert [leg.geom.name for leg in legs(nameless, neutral(nameless))] == ["FL_tip", "FR_tip", "RL_tip", "RR_tip"]


def test_bent_legs_have_their_feet_under_the_hips_within_the_limits(go2: RobotTree) -> None:
    pose = bent(go2, legs(go2, neutral(go2)))
    assert pose is not None
    robot = robots.load("unitree_go2")
    assert (pose > robot.joint_lower + 0.01).all()
    assert (pose < robot.joint_upper - 0.01).all()
    places = on_the_origin(go2, pose)
    for leg in legs(go2, pose):
        hip = places[leg.link.name.replace("calf", "hip")].pos
        foot = places[leg.link.name].point(leg.geom.pose.pos)
        assert foot[0] == pytest.approx(hip[0], abs=0.01)
        # Thigh and calf are 0.213 m long each.
        assert foot[2] == pytest.approx(-0.75 * 2 * 0.213, abs=0.01)
    assert height(go2, pose) == pytest.approx(0.32 + 0.022, abs=0.01)


def test_a_robot_on_two_legs_does_not_get_bent_ones(go2: RobotTree) -> None:
    assert bent(go2, legs(go2, neutral(go2))[:2]) is None


def test_left_and_right_of_go2_are_those_of_its_description(go2: RobotTree) -> None:
    assert mirror(go2, legs(go2, neutral(go2))) == robots.load("unitree_go2").mirror


def test_a_mirrored_pose_has_mirrored_feet() -> None:
    tree = merged(read_urdf(A1).tree)
    found = legs(tree, neutral(tree))
    symmetry = mirror(tree, found)
    assert symmetry is not None
    rng = np.random.default_rng(0)
    q = rng.uniform(-1.0, 1.0, len(tree.joints))
    image = np.array(symmetry.joint_sign) * q[list(symmetry.joint_permutation)]

    def tips(pose: np.ndarray) -> np.ndarray:
        places = on_the_origin(tree, pose)
        return np.array([places[leg.link.name].point(leg.geom.pose.pos) for leg in found])

    reflected = tips(q)[list(symmetry.foot_permutation)] * [1.0, -1.0, 1.0]
    np.testing.assert_allclose(tips(image), reflected, atol=2e-3)


@pytest.mark.parametrize("change", ["place", "mass", "limits"])
def test_a_robot_whose_halves_differ_has_no_mirror(go2: RobotTree, change: str) -> None:
    link = go2.link("FL_thigh")
    joint = link.joint
    higher = Pose(np.add(joint.origin.pos, [0.0, 0.0, 0.01]), joint.origin.quat)
    changed = {
        "place": replace(link, joint=replace(joint, origin=higher)),
        "mass": replace(link, mass=1.2 * link.mass),
        "limits": replace(link, joint=replace(joint, upper=joint.upper - 0.5)),
    }[change]
    lame = replace(go2, links=tuple(changed if other is link else other for other in go2.links))
    assert mirror(lame, legs(lame, neutral(lame))) is None
