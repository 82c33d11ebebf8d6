"""MJCF made a robot folder: the same robot, with what its actuators, keyframes and sensors say."""

import dataclasses
import re
from pathlib import Path

import mujoco
import numpy as np
import pytest
from nasty_robots import mass_matrix, nasty_robot, random_pose
from promises import assert_keeps_the_promises

from contract import robots
from contract.errors import UsageError
from contract.robot import Joint
from sim.formats.importing.importer import Imported, import_robot
from sim.formats.mjcf import to_mjcf
from sim.formats.tree import read_tree


def imported(folder: Path, mjcf: str, **how) -> Imported:
    path = folder / "file.xml"
    path.write_text(mjcf)
    return import_robot(str(path), "mine", folder / "robots", **how)


def guesses(made: Imported) -> dict[str, str]:
    return {guess.what: guess.value for guess in made.guesses}


INERTIAL = '<inertial mass="1" pos="0 0 -0.5" diaginertia="1 1 1"/>'
HINGE = '<joint name="elbow" axis="0 1 0" range="-1 1"/>'


def arm(limb: str = HINGE, base: str = "", rest: str = "", asset: str = "") -> str:
    """A bolted base with one limb."""
    bodies = f'<body name="base">{INERTIAL}{base}<body name="limb">{INERTIAL}{limb}</body></body>'
    return f'<mujoco><compiler angle="radian"/>{asset}<worldbody>{bodies}</worldbody>{rest}</mujoco>'


def elbow(made: Imported) -> Joint:
    (joint,) = made.robot.joints
    return joint


@pytest.mark.parametrize("name", ["unitree_go2", "cartpole"])
def test_our_own_robots_come_back_whole(tmp_path: Path, name: str) -> None:
    """A velocity limit is all that MJCF cannot say."""
    ours = robots.load(name)
    made = imported(tmp_path, to_mjcf(ours, floor=True))
    theirs = made.robot
    assert_keeps_the_promises(theirs)
    for mine, other in zip(ours.joints, theirs.joints, strict=True):
        assert dataclasses.replace(other, velocity_limit=mine.velocity_limit) == mine
    assert [foot.geom for foot in theirs.feet] == [foot.geom for foot in ours.feet]
    for fact in ("imu", "mirror", "fixed_base", "base_body"):
        assert getattr(theirs, fact) == getattr(ours, fact)
    assert theirs.standing_height == pytest.approx(ours.standing_height, abs=1e-3)
    assert "velocity limit of all joints" in guesses(made)
    pairs = zip(read_tree(ours).links, read_tree(theirs).links, strict=True)
    for mine, other in pairs:
        assert (other.name, other.parent, other.mass) == (mine.name, mine.parent, mine.mass)
        np.testing.assert_allclose(other.inertia, mine.inertia, rtol=1e-9, atol=1e-15)
        assert (other.joint.damping, other.joint.friction, other.joint.armature) == (
            mine.joint.damping,
            mine.joint.friction,
            mine.joint.armature,
        )
        assert [geom.friction for geom in other.geoms if geom.collides] == [
            geom.friction for geom in mine.geoms if geom.collides
        ]


@pytest.mark.parametrize("seed", range(4))
def test_a_nasty_robot_moves_as_before(tmp_path: Path, seed: int) -> None:
    ours = nasty_robot(tmp_path, seed, fixed_base=bool(seed % 2))
    theirs = import_robot(str(ours.mjcf), "mine", tmp_path / "robots").robot
    assert_keeps_the_promises(theirs)
    assert theirs.joint_names == ours.joint_names
    q = random_pose(ours, seed)
    expected = mass_matrix(ours, q)
    np.testing.assert_allclose(mass_matrix(theirs, q), expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("actuator", "effort", "kp", "kd"),
    [
        ('<position joint="elbow" kp="40" kv="3" forcerange="-9 9"/>', 9.0, 40.0, 3.0),
        ('<position joint="elbow" kp="40" kv="3" forcerange="-9 9" gear="2"/>', 18.0, 160.0, 12.0),
        ('<motor joint="elbow" gear="10" ctrlrange="-2 2"/>', 20.0, None, None),
        ('<motor joint="elbow" gear="10" ctrlrange="-2 2" forcerange="-1 1"/>', 10.0, None, None),
        ('<general joint="elbow" gainprm="5" ctrlrange="-1 1"/>', 5.0, None, None),
    ],
)
def test_actuators_say_what_the_motors_are(
    tmp_path: Path, actuator: str, effort: float, kp: float | None, kd: float | None
) -> None:
    made = imported(tmp_path, arm(rest=f"<actuator>{actuator}</actuator>"))
    assert elbow(made).effort_limit == pytest.approx(effort)
    for name, gain in (("kp", kp), ("kd", kd)):
        assert (f"{name} of all joints" in guesses(made)) == (gain is None)
        if gain is not None:
            assert getattr(elbow(made), name) == pytest.approx(gain)


def test_a_joints_own_force_limit_counts(tmp_path: Path) -> None:
    limb = HINGE.replace("/>", ' actuatorfrcrange="-4 4"/>')
    rest = '<actuator><position joint="elbow" kp="1"/></actuator>'
    assert elbow(imported(tmp_path, arm(limb, rest=rest))).effort_limit == 4.0


def test_a_joint_without_an_actuator_is_passive_where_others_have_one(tmp_path: Path) -> None:
    tip = f'<body name="tip">{INERTIAL}<joint name="wrist" axis="0 1 0" range="-1 1"/></body>'
    with_one = imported(tmp_path, arm(HINGE + tip, rest='<actuator><motor joint="elbow" ctrlrange="-1 1"/></actuator>'))
    assert [joint.passive for joint in with_one.robot.joints] == [False, True]
    without = imported(tmp_path, arm(HINGE + tip), overwrite=True)
    assert [joint.passive for joint in without.robot.joints] == [False, False]
    assert "effort limit of all joints" in guesses(without)


@pytest.mark.parametrize(
    ("keys", "pose"),
    [
        ('<key name="fold" qpos="0.9"/><key name="home" qpos="0.3"/>', 0.3),
        ('<key name="fold" qpos="0.9"/>', 0.9),
        ('<key name="home" qpos="7"/>', 1.0),
    ],
)
def test_a_keyframe_is_the_default_pose(tmp_path: Path, keys: str, pose: float) -> None:
    made = imported(tmp_path, arm(rest=f"<keyframe>{keys}</keyframe>"))
    assert elbow(made).default_pos == pose
    assert "default pose" not in guesses(made)


def test_without_a_keyframe_a_joint_is_at_zero_or_in_the_middle(tmp_path: Path) -> None:
    assert elbow(imported(tmp_path, arm())).default_pos == 0.0
    made = imported(tmp_path, arm(HINGE.replace("-1 1", "0.5 1.5")), overwrite=True)
    assert elbow(made).default_pos == 1.0
    assert "default pose" in guesses(made)


def test_the_imu_is_where_the_gyro_is(tmp_path: Path) -> None:
    sites = '<site name="imu_old" pos="9 9 9"/><site name="gyroscope" pos="0.1 0.2 0.3" quat="0 1 0 0"/>'
    rest = '<sensor><gyro site="gyroscope"/></sensor>'
    imu = imported(tmp_path, arm(base=sites + "<freejoint/>", rest=rest)).robot.imu
    assert imu is not None
    assert (imu.body, imu.pos, imu.quat) == ("base", (0.1, 0.2, 0.3), (0.0, 1.0, 0.0, 0.0))


def test_an_imu_on_a_body_without_a_joint_moves_with_its_parent(tmp_path: Path) -> None:
    box = '<body name="box" pos="1 0 0"><site name="imu" pos="0 1 0"/></body>'
    imu = imported(tmp_path, arm(HINGE + box, base="<freejoint/>")).robot.imu
    assert imu is not None
    assert (imu.body, imu.pos) == ("limb", (1.0, 1.0, 0.0))


def test_bodies_and_joints_without_names_get_some(tmp_path: Path) -> None:
    bodies = f"<body>{INERTIAL}<freejoint/><body>{INERTIAL}<joint range='-1 1'/></body></body>"
    robot = imported(tmp_path, f"<mujoco><worldbody>{bodies}</worldbody></mujoco>").robot
    assert_keeps_the_promises(robot)
    assert (robot.base_body, robot.joint_names) == ("body_0", ("joint_1",))


def test_joints_that_hang_on_the_world_get_a_bolted_base(tmp_path: Path) -> None:
    rail = f'<body name="cart" pos="0 0 2">{INERTIAL}<joint name="rail" type="slide" axis="1 0 0"/></body>'
    made = imported(tmp_path, f"<mujoco><worldbody>{rail}</worldbody></mujoco>")
    assert_keeps_the_promises(made.robot)
    assert (made.robot.base_body, made.robot.fixed_base) == ("base", True)
    assert guesses(made)["base"] == "base"
    assert guesses(made)["limits of all joints"] == "-1000 to 1000 rad or m"
    assert mujoco.MjModel.from_xml_path(str(made.robot.mjcf)).body("cart").pos[2] == 2.0


def test_a_ref_does_not_move_the_robot(tmp_path: Path) -> None:
    """A body is placed where its joint is at `ref`; a robot.xml has joints at zero where it stands."""
    made = imported(tmp_path, arm(HINGE.replace("/>", ' ref="0.4"/>')))
    model = mujoco.MjModel.from_xml_path(str(made.robot.mjcf))
    data = mujoco.MjData(model)
    data.joint("elbow").qpos[0] = 0.4
    mujoco.mj_kinematics(model, data)
    np.testing.assert_allclose(data.body("limb").xquat, [1, 0, 0, 0], atol=1e-12)


def test_shapes_that_are_no_primitives_are_fitted_or_left_out(tmp_path: Path) -> None:
    vertices = " ".join(f"{x} {y} {z}" for x in (-0.1, 0.1) for y in (-0.2, 0.2) for z in (-0.3, 0.3))
    asset = f'<asset><mesh name="brick" vertex="{vertices}"/><material name="red" rgba="1 0 0 1"/></asset>'
    shapes = (
        '<geom name="brick" type="mesh" mesh="brick" pos="1 0 0"/>'
        '<geom name="egg" type="ellipsoid" size="0.05 0.06 0.05"/>'
        '<geom name="leaf" type="mesh" mesh="brick" contype="0" conaffinity="0"/>'
        '<geom name="seen" type="sphere" size="0.1" contype="0" conaffinity="0" material="red"/>'
    )
    made = imported(tmp_path, arm(HINGE + shapes, asset=asset))
    model = assert_keeps_the_promises(made.robot)
    assert guesses(made)["visual meshes"] == "1 left out"
    listed = [(guess.what, guess.value, guess.why) for guess in made.guesses if guess.what.startswith("collision")]
    assert listed == [
        ("collision shape of limb", "box", "fitted to the bounds of its mesh"),
        ("collision shape of limb", "sphere", "fitted to the bounds of its ellipsoid"),
    ]
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    brick = model.geom("brick")
    np.testing.assert_allclose(data.geom("brick").xpos, [1, 0, 0], atol=1e-6)
    extent = np.abs(data.geom("brick").xmat.reshape(3, 3)) @ brick.size
    np.testing.assert_allclose(extent, [0.1, 0.2, 0.3], atol=1e-5)
    colours = [model.geom_rgba[i].tolist() for i in range(model.ngeom) if model.geom_group[i] == 2]
    assert [1.0, 0.0, 0.0, 1.0] in colours


def test_what_a_tree_cannot_hold_is_left_out_and_listed(tmp_path: Path) -> None:
    limb = HINGE.replace("/>", ' stiffness="3"/>')
    rest = (
        '<tendon><fixed name="rope"><joint joint="elbow" coef="1"/></fixed></tendon>'
        '<equality><joint joint1="elbow"/></equality>'
    )
    listed = guesses(imported(tmp_path, arm(limb, rest=rest)))
    assert [listed[what] for what in ("springs", "couplings", "tendons")] == ["1 left out"] * 3


TWO = "".join(f'<body name="{n}">{INERTIAL}<joint name="{n}" range="-1 1"/></body>' for n in ("left", "right"))


@pytest.mark.parametrize(
    ("mjcf", "message"),
    [
        ("<mujoco", "is not XML"),
        ("<mujoco><bogus/></mujoco>", "MuJoCo cannot read it: XML Error: Schema violation"),
        (arm(HINGE, asset='<asset><mesh name="none" file="none.stl"/></asset>'), "Error opening file 'none.stl'"),
        (arm(""), "it has no hinge or slide"),
        (f"<mujoco><worldbody>{TWO}</worldbody></mujoco>", "it has 2 robots (left, right)"),
        (arm(HINGE + '<joint name="twist"/>'), "body 'limb' has 2 joints"),
        (arm('<joint name="elbow" type="ball"/>'), "joint 'elbow' is neither a hinge nor a slide"),
        (arm(rest='<equality><weld body1="limb"/></equality>'), "bodies are tied together by connect or weld"),
    ],
)
def test_a_file_that_is_no_robot_gets_one_sentence(tmp_path: Path, mjcf: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        imported(tmp_path, mjcf)
