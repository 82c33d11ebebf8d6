"""URDF made a robot folder: the same robot, and a list of what URDF does not say."""

import re
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pybullet_data
import pytest
from nasty_robots import mass_matrix, nasty_robot, posed, random_pose
from promises import assert_keeps_the_promises

from contract import own_robots, robots
from contract.errors import UsageError
from contract.robot import Robot
from sim.formats.importing.importer import Imported, import_robot
from sim.formats.urdf import to_urdf

DATA = Path(pybullet_data.getDataPath())
TOLERANCE = 1e-6


def imported(folder: Path, urdf: str, **how) -> Imported:
    path = folder / "file.urdf"
    path.write_text(urdf)
    return import_robot(str(path), "mine", folder / "robots", **how)


def guesses(made: Imported) -> dict[str, str]:
    return {guess.what: guess.value for guess in made.guesses}


# -- the same robot -------------------------------------------------------------------------------------------


def test_go2_comes_back_from_urdf(tmp_path: Path) -> None:
    ours = robots.load("unitree_go2")
    made = imported(tmp_path, to_urdf(ours))
    theirs = made.robot
    assert_keeps_the_promises(theirs)
    assert theirs.joint_names == ours.joint_names
    for figure in ("joint_lower", "joint_upper", "joint_velocity_limit", "joint_effort_limit"):
        np.testing.assert_array_equal(getattr(theirs, figure), getattr(ours, figure))
    assert [foot.geom for foot in theirs.feet] == [foot.geom for foot in ours.feet]
    assert [foot.radius for foot in theirs.feet] == [foot.radius for foot in ours.feet]
    assert (theirs.imu, theirs.mirror, theirs.fixed_base) == (ours.imu, ours.mirror, False)
    np.testing.assert_allclose(theirs.kp, ours.kp, rtol=0.5)  # a guess should be of the right size
    assert theirs.standing_height == pytest.approx(ours.standing_height, rel=0.1)
    assert set(guesses(made)) == {
        "friction of all shapes",
        "base",
        "default pose",
        "feet",
        "standing height",
        "kp of all joints",
        "kd of all joints",
        "armature of all joints",
        "left-right symmetry",
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_nasty_robot_moves_as_before(tmp_path: Path, seed: int) -> None:
    """Links without a joint become part of their parents; the mass matrix of the joints does not notice."""
    ours = nasty_robot(tmp_path, seed, fixed_base=bool(seed % 2))
    theirs = imported(tmp_path, to_urdf(ours), fixed_base=ours.fixed_base).robot
    assert_keeps_the_promises(theirs)
    assert theirs.joint_names == ours.joint_names
    q = random_pose(ours, seed)
    expected = mass_matrix(ours, q)
    np.testing.assert_allclose(mass_matrix(theirs, q), expected, atol=TOLERANCE * np.abs(expected).max())
    _, data = posed(ours, q)
    model, other = posed(theirs, q)
    for name in (model.body(i).name for i in range(1, model.nbody)):
        place = other.body(name).xpos - other.body(theirs.base_body).xpos
        # A link's frame is at its joint, in URDF and so here.
        joint = model.body(name).jntadr[0]
        expected = data.body(name).xpos
        if joint >= 0 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE:
            expected = data.joint(model.joint(joint).name).xanchor
            turn = data.body(ours.base_body).xmat.reshape(3, 3) @ other.body(theirs.base_body).xmat.reshape(3, 3).T
            np.testing.assert_allclose(turn @ place, expected - data.body(ours.base_body).xpos, atol=TOLERANCE)


def test_a_fixed_base_that_hangs_on_the_world_is_bolted_where_it_was(tmp_path: Path) -> None:
    made = imported(tmp_path, to_urdf(robots.load("cartpole")))
    robot = made.robot
    assert_keeps_the_promises(robot)
    assert (robot.fixed_base, robot.base_body, robot.standing_height) == (True, "rail", 1.5)
    assert [joint.kind for joint in robot.joints] == ["slide", "hinge"]
    assert (robot.feet, robot.imu, robot.mirror) == ((), None, None)
    assert "base" not in guesses(made)
    # URDF has no motor to take away: a limit of zero reads as one that is not known.
    assert "effort limit of hinge" in guesses(made)


# -- other people's robots ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "joints", "feet", "floats"),
    [
        ("a1/a1.urdf", 12, ["FR_toe", "FL_toe", "RR_toe", "RL_toe"], True),
        ("laikago/laikago_toes_zup.urdf", 12, ["toeFR", "toeFL", "toeRR", "toeRL"], True),
        ("quadruped/vision60.urdf", 12, ["toe0", "toe1", "toe2", "toe3"], True),
        ("franka_panda/panda.urdf", 9, [], False),
        ("kuka_iiwa/model.urdf", 7, [], False),
    ],
)
def test_a_foreign_robot_is_imported(tmp_path: Path, file: str, joints: int, feet: list[str], floats: bool) -> None:
    robot = import_robot(str(DATA / file), "theirs", tmp_path).robot
    assert_keeps_the_promises(robot)
    assert (robot.num_joints, [foot.name for foot in robot.feet], not robot.fixed_base) == (joints, feet, floats)
    assert own_robots.load("theirs", tmp_path / "theirs") is robot


def test_masses_of_a_foreign_robot_are_those_of_its_file(tmp_path: Path) -> None:
    file = DATA / "a1/a1.urdf"
    robot = import_robot(str(file), "theirs", tmp_path).robot
    written = sum(float(mass.get("value", "")) for mass in ElementTree.parse(file).getroot().iter("mass"))
    assert mujoco.MjModel.from_xml_path(str(robot.mjcf)).body_mass.sum() == pytest.approx(written)


def test_meshes_that_collide_become_primitives_and_are_listed(tmp_path: Path) -> None:
    made = import_robot(str(DATA / "laikago/laikago_toes_zup.urdf"), "theirs", tmp_path)
    listed = guesses(made)
    assert listed["collision shape of chassis"] == "box"
    assert listed["collision shape of FR_upper_leg"] == "capsule"
    assert listed["visual meshes"] == "13 left out"
    assert listed["limits of all joints"] == "-1000 to 1000 rad or m"
    model = mujoco.MjModel.from_xml_path(str(made.robot.mjcf))
    visible = {model.body(model.geom_bodyid[i]).name for i in range(model.ngeom) if model.geom_group[i] == 2}
    assert visible == {model.body(i).name for i in range(1, model.nbody)}


# -- the file says little, or nonsense ------------------------------------------------------------------------

BODY = '<inertial><mass value="1"/><inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial>'
BALL = '<collision><geometry><sphere radius="0.1"/></geometry></collision>'
LIMIT = '<limit lower="-1" upper="1" effort="5" velocity="3"/>'


def link(name: str, inside: str = BODY) -> str:
    return f'<link name="{name}">{inside}</link>'


def joint(name: str, parent: str, child: str, inside: str = LIMIT, kind: str = "revolute") -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{inside}</joint>'


def arm(*extra: str, limb: str = BODY, inside: str = LIMIT, kind: str = "revolute") -> str:
    parts = [link("base"), link("limb", limb), joint("elbow", "base", "limb", inside, kind), *extra]
    return f'<robot name="arm">{"".join(parts)}</robot>'


def mesh_shape(file: Path | str, scale: str = "1 1 1") -> str:
    return f'<collision><geometry><mesh filename="{file}" scale="{scale}"/></geometry></collision>'


def test_an_arm_says_all_that_it_is(tmp_path: Path) -> None:
    robot = imported(tmp_path, arm()).robot
    (elbow,) = robot.joints
    assert (elbow.lower, elbow.upper, elbow.effort_limit, elbow.velocity_limit) == (-1.0, 1.0, 5.0, 3.0)


@pytest.mark.parametrize(("base", "fixed"), [(True, True), (False, False), (None, True)])
def test_the_user_knows_better_whether_the_base_is_bolted(tmp_path: Path, base: bool | None, fixed: bool) -> None:
    made = imported(tmp_path, arm(), fixed_base=base)
    assert made.robot.fixed_base == fixed
    assert ("base" in guesses(made)) == (base is None)


def test_links_that_only_carry_the_base_are_dropped(tmp_path: Path) -> None:
    extra = link("footprint", "") + joint("stand", "footprint", "base", '<origin xyz="0 0 1"/>', "fixed")
    robot = imported(tmp_path, arm(extra)).robot
    assert robot.base_body == "base"


@pytest.mark.parametrize(("kind", "fixed", "height"), [("fixed", True, 2.0), ("floating", False, 0.1)])
def test_a_world_says_whether_the_base_is_bolted(tmp_path: Path, kind: str, fixed: bool, height: float) -> None:
    extra = link("world", "") + joint("mount", "world", "base", '<origin xyz="0 0 2"/>', kind)
    made = imported(tmp_path, arm(extra, limb=BODY + BALL))
    assert (made.robot.fixed_base, made.robot.standing_height) == (fixed, pytest.approx(height))
    assert "base" not in guesses(made)


def test_a_world_with_two_arms_becomes_a_bolted_base(tmp_path: Path) -> None:
    urdf = "<robot name='two'>" + link("world", "")
    for side in ("left", "right"):
        urdf += link(side) + joint(f"{side}_shoulder", "world", side)
    robot = imported(tmp_path, urdf + "</robot>").robot
    assert_keeps_the_promises(robot)
    assert (robot.base_body, robot.joint_names) == ("base", ("left_shoulder", "right_shoulder"))


def test_what_urdf_does_not_say_is_guessed_by_the_written_rules(tmp_path: Path) -> None:
    """A limb of 1 kg with its mass 0.5 m from the joint, of 1 kg m^2 about every axis."""
    limb = BODY.replace("<inertial>", '<inertial><origin xyz="0 0 -0.5"/>')
    made = imported(
        tmp_path, arm(limb=limb, inside='<limit lower="-1" upper="1" effort="0" velocity="0"/><axis xyz="0 1 0"/>')
    )
    (elbow,) = made.robot.joints
    assert elbow.velocity_limit == 20.0
    assert elbow.effort_limit == pytest.approx(2.0 * 9.81 * 0.5, rel=0.01)
    inertia = 1.0 + 0.25 + 4e-4 * elbow.effort_limit
    assert elbow.kp == pytest.approx(max(elbow.effort_limit, inertia * 20.0**2), rel=0.01)
    assert elbow.kd == pytest.approx(np.sqrt(elbow.kp * inertia), rel=0.01)
    assert {"velocity limit of all joints", "effort limit of all joints"} <= set(guesses(made))
    sources = {source.what for source in made.robot.sources}
    assert {f"a guess: {what}" for what in guesses(made)} <= sources


def test_an_impossible_inertia_is_replaced_and_listed(tmp_path: Path) -> None:
    made = imported(tmp_path, arm(limb=BODY.replace('ixx="1"', 'ixx="9"')))
    assert guesses(made)["inertia of limb"] == "3.67 kg m^2 about every axis"
    model = mujoco.MjModel.from_xml_path(str(made.robot.mjcf))
    np.testing.assert_allclose(model.body("limb").inertia, 11 / 3)


def test_no_inertia_at_all_is_that_of_a_ball(tmp_path: Path) -> None:
    made = imported(tmp_path, arm(limb='<inertial><mass value="2"/></inertial>'))
    model = mujoco.MjModel.from_xml_path(str(made.robot.mjcf))
    np.testing.assert_allclose(model.body("limb").inertia, 0.4 * 2.0 * 0.03**2)


def test_a_mimic_joint_gets_a_motor_and_is_listed(tmp_path: Path) -> None:
    made = imported(tmp_path, arm(inside=LIMIT + '<mimic joint="other"/>'))
    assert guesses(made)["mimic of elbow"] == "left out"


def test_an_imu_link_is_where_the_imu_is(tmp_path: Path) -> None:
    mount = joint("imu_mount", "limb", "imu_link", '<origin xyz="1 2 3" rpy="0 0 1.5707963267948966"/>', "fixed")
    made = imported(tmp_path, arm(link("imu_link", ""), mount), fixed_base=False)
    imu = made.robot.imu
    assert imu is not None
    assert (imu.body, imu.pos) == ("limb", (1.0, 2.0, 3.0))
    np.testing.assert_allclose(imu.quat, [0.5**0.5, 0, 0, 0.5**0.5], atol=1e-12)
    assert "IMU" not in guesses(made)


def test_a_mesh_is_found_in_its_ros_package(tmp_path: Path) -> None:
    mesh = DATA / "laikago/hip_motor.stl"
    (tmp_path / "arm_description/meshes").mkdir(parents=True)
    (tmp_path / "arm_description/meshes/hip.stl").write_bytes(mesh.read_bytes())
    (tmp_path / "arm_description/urdf").mkdir()
    shape = mesh_shape("package://arm_description/meshes/hip.stl", "2 2 2")
    (tmp_path / "arm_description/urdf/arm.urdf").write_text(arm(limb=BODY + shape))
    big = import_robot(str(tmp_path / "arm_description/urdf/arm.urdf"), "big", tmp_path)
    small = imported(tmp_path, arm(limb=BODY + mesh_shape(mesh)))
    sizes = [mujoco.MjModel.from_xml_path(str(made.robot.mjcf)).geom("limb").size for made in (big, small)]
    np.testing.assert_allclose(sizes[0], 2.0 * sizes[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("urdf", "message"),
    [
        ("<robot", "is not XML"),
        ("<sdf/>", "is neither MJCF nor URDF: its root is <sdf>"),
        ("<robot name='none'/>", "has no links"),
        (arm(link("limb")), "has two links 'limb'"),
        (arm("<link/>"), "has a link without a name"),
        (arm(link("stray")), "must have one root link, and has 2: base, stray"),
        (arm(joint("back", "limb", "base")), "must have one root link, and has 0: a loop"),
        (arm(joint("again", "base", "limb")), "link 'limb' is the child of two joints, 'elbow' and 'again'"),
        (arm(joint("wrist", "limb", "hand")), "joint 'wrist': its child 'hand' is no link"),
        (arm(link("a") + link("b") + joint("j", "a", "b") + joint("k", "b", "a")), "links a, b hang on a loop"),
        (arm(kind="planar"), "joint 'elbow' is planar; it must be one of revolute"),
        (arm(kind="floating"), "joint 'elbow' is floating, which only the base can be"),
        (arm(inside='<axis xyz="0 0 0"/>' + LIMIT), "joint 'elbow': its axis is zero"),
        (arm(inside='<axis xyz="0 1"/>' + LIMIT), "joint 'elbow', axis: must be 3 finite numbers, got '0 1'"),
        (arm(inside='<limit lower="1" upper="-1"/>'), "its lower limit 1.0 is not below its upper one -1.0"),
        (arm(inside=""), "joint 'elbow': its lower limit 0.0 is not below its upper one 0.0"),
        (arm(limb=""), "link 'limb' moves, and has no mass"),
        (arm(limb=BODY.replace('"1"/><inertia', '"-1"/><inertia')), "link 'limb', inertial: its mass is negative"),
        (
            arm(limb=BODY.replace('ixx="1"', 'ixx="nan"')),
            "link 'limb', inertial, ixx: must be 1 finite number, got 'nan'",
        ),
        (arm(limb=BODY + BALL.replace("0.1", "0")), "link 'limb', collision: the sizes of its sphere must be positive"),
        (
            arm(limb=BODY + BALL.replace('<sphere radius="0.1"/>', "<cone/>")),
            "link 'limb', collision: <cone> is not a box",
        ),
        (arm(limb=BODY + "<collision/>"), "link 'limb', collision: has no geometry"),
        (arm(kind="fixed", inside=""), "has no joint that moves"),
    ],
)
def test_a_file_that_is_no_robot_gets_one_sentence(tmp_path: Path, urdf: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        imported(tmp_path, urdf)
    assert not (tmp_path / "robots" / "mine").exists()


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        ("meshes/none.stl", "none.stl: this collision mesh is missing"),
        ("package://arm/meshes/none.stl", "none.stl: this collision mesh is missing"),
        ("hand.dae", "hand.dae: a collision mesh must be .stl, .obj, .msh to be read; convert it"),
        ("broken.stl", "broken.stl: this collision mesh cannot be read"),
        ("https://example.org/hand.stl", "is no file; download it"),
    ],
)
def test_a_mesh_that_cannot_be_read_gets_one_sentence(tmp_path: Path, mesh: str, message: str) -> None:
    (tmp_path / "hand.dae").write_text("<COLLADA/>")
    (tmp_path / "broken.stl").write_text("solid")
    with pytest.raises(UsageError, match=message):
        imported(tmp_path, arm(limb=BODY + mesh_shape(mesh)))


def test_a_visual_mesh_need_not_be_there(tmp_path: Path) -> None:
    made = imported(tmp_path, arm(limb=BODY + '<visual><geometry><mesh filename="none.dae"/></geometry></visual>'))
    assert guesses(made)["visual meshes"] == "1 left out"


# -- the folder -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "my-robot", "my robot", "../mine", "2legs", "class"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="must be letters, digits and underscores"):
        import_robot("arm.urdf", name, tmp_path)


def test_a_shipped_robots_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Landbridge has a robot of that name"):
        import_robot("arm.urdf", "unitree_go2", tmp_path)


@pytest.mark.parametrize("file", ["none.urdf", "."])
def test_a_file_that_is_not_there_gets_one_sentence(tmp_path: Path, file: str) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        import_robot(str(tmp_path / file), "mine", tmp_path)


def test_a_file_that_is_no_text_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file.urdf").write_bytes(bytes(range(256)))
    with pytest.raises(UsageError, match="is not XML"):
        import_robot(str(tmp_path / "file.urdf"), "mine", tmp_path)


def test_a_robot_is_replaced_only_when_asked(tmp_path: Path) -> None:
    imported(tmp_path, arm())
    with pytest.raises(UsageError, match="exists already; choose another name, or give --overwrite"):
        imported(tmp_path, arm())
    changed = imported(tmp_path, arm(inside=LIMIT.replace('effort="5"', 'effort="7"')), overwrite=True)
    assert changed.robot.joint_effort_limit.tolist() == [7.0]
    assert sorted(path.name for path in (tmp_path / "robots").iterdir()) == ["mine"]


def test_a_folder_that_is_no_robots_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "robots" / "mine").mkdir(parents=True)
    (tmp_path / "robots" / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="exists, and is no robot's folder"):
        imported(tmp_path, arm(), overwrite=True)
    assert (tmp_path / "robots" / "mine" / "thesis.tex").read_text() == "years of work"


def test_names_in_a_file_do_not_become_code(tmp_path: Path) -> None:
    name = "x&quot;'); raise SystemExit('ran') #"
    urdf = arm().replace('"elbow"', f'"{name}"')
    robot = imported(tmp_path, urdf).robot
    assert robot.joint_names == ("x\"'); raise SystemExit('ran') #",)


def test_names_may_be_in_any_script(tmp_path: Path) -> None:
    (tmp_path / "file.urdf").write_text(arm().replace('"elbow"', '"肘"'), encoding="utf-8")
    robot = import_robot(str(tmp_path / "file.urdf"), "mine", tmp_path / "robots").robot
    assert robot.joint_names == ("肘",)
    assert_keeps_the_promises(robot)


def test_the_robot_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: Robot = imported(tmp_path, arm()).robot
    monkeypatch.setenv("LANDBRIDGE_ROBOTS", str(tmp_path / "robots"))
    assert robots.load("mine") == made
