"""USD read back through OpenUSD's own library, and moved by arithmetic of the test's own."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from nasty_robots import nasty_robot, posed, random_pose
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from contract import robots
from contract.errors import UsageError
from contract.robot import Robot
from sim.formats.tree import read_tree
from sim.formats.usd import prim_name, write_usd

TOLERANCE = 1e-6  # UsdPhysics is single precision
DEGREE = np.pi / 180.0
AXES = {"X": [1.0, 0.0, 0.0], "Y": [0.0, 1.0, 0.0], "Z": [0.0, 0.0, 1.0]}


@pytest.fixture(params=[*robots.shipped(), 0, 1, 2, 3])
def robot(request: pytest.FixtureRequest, tmp_path: Path) -> Robot:
    if isinstance(request.param, str):
        return robots.load(request.param)
    return nasty_robot(tmp_path, request.param, fixed_base=bool(request.param % 2))


@pytest.fixture
def stage(robot: Robot, tmp_path: Path) -> Usd.Stage:
    path = tmp_path / "robot.usda"
    write_usd(robot, path)
    return Usd.Stage.Open(str(path))


def frame(pos: Gf.Vec3f, rot: Gf.Quatf) -> np.ndarray:
    """Homogeneous (4, 4), for column vectors."""
    quat = np.array([rot.GetReal(), *rot.GetImaginary()])
    matrix = np.eye(4)
    axes = np.empty(9)
    mujoco.mju_quat2Mat(axes, quat / np.linalg.norm(quat))
    matrix[:3, :3], matrix[:3, 3] = axes.reshape(3, 3), pos
    return matrix


def moved_along(axis: list[float], q: float, *, turns: bool) -> np.ndarray:
    matrix = np.eye(4)
    if turns:
        quat, axes = np.empty(4), np.empty(9)
        mujoco.mju_axisAngle2Quat(quat, np.array(axis), q)
        mujoco.mju_quat2Mat(axes, quat)
        matrix[:3, :3] = axes.reshape(3, 3)
    else:
        matrix[:3, 3] = q * np.array(axis)
    return matrix


def world_frames(stage: Usd.Stage, positions: dict[str, float], base: np.ndarray) -> dict[str, np.ndarray]:
    """Every body's frame by name, from joint frames alone: parent * frame0 * motion = child * frame1."""
    root = stage.GetDefaultPrim()
    frames = {"": np.eye(4)}
    waiting = [UsdPhysics.Joint(prim) for prim in Usd.PrimRange(root) if prim.IsA(UsdPhysics.Joint)]
    children = {joint.GetBody1Rel().GetTargets()[0].name for joint in waiting}
    bodies = [prim.GetName() for prim in root.GetChildren() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    frames |= {name: base for name in bodies if name not in children}
    while waiting:
        joint = waiting.pop(0)
        parents = joint.GetBody0Rel().GetTargets()
        parent = parents[0].name if parents else ""
        if parent not in frames:
            waiting.append(joint)
            continue
        name, motion = joint.GetPrim().GetName(), np.eye(4)
        if name in positions:
            turns = joint.GetPrim().IsA(UsdPhysics.RevoluteJoint)
            made = (UsdPhysics.RevoluteJoint if turns else UsdPhysics.PrismaticJoint)(joint.GetPrim())
            motion = moved_along(AXES[made.GetAxisAttr().Get()], positions[name], turns=turns)
        inner = frame(joint.GetLocalPos0Attr().Get(), joint.GetLocalRot0Attr().Get())
        outer = frame(joint.GetLocalPos1Attr().Get(), joint.GetLocalRot1Attr().Get())
        frames[joint.GetBody1Rel().GetTargets()[0].name] = frames[parent] @ inner @ motion @ np.linalg.inv(outer)
    return frames


@pytest.mark.parametrize("seed", range(3))
def test_joints_move_the_bodies_as_mujoco_does(robot: Robot, stage: Usd.Stage, seed: int) -> None:
    q = random_pose(robot, seed)
    _, data = posed(robot, q)
    base = np.eye(4)
    base[:3, :3], base[:3, 3] = data.body(robot.base_body).xmat.reshape(3, 3), data.body(robot.base_body).xpos
    frames = world_frames(stage, dict(zip(robot.joint_names, q.tolist(), strict=True)), base)
    for link in read_tree(robot).links:
        np.testing.assert_allclose(frames[link.name][:3, 3], data.body(link.name).xpos, atol=TOLERANCE)
        np.testing.assert_allclose(frames[link.name][:3, :3], data.body(link.name).xmat.reshape(3, 3), atol=TOLERANCE)


def test_bodies_stand_where_joints_at_zero_put_them(robot: Robot, stage: Usd.Stage) -> None:
    _, data = posed(robot, np.zeros(robot.num_joints))
    for link in read_tree(robot).links:
        prim = UsdGeom.Xformable(stage.GetDefaultPrim().GetChild(link.name))
        matrix = np.array(prim.ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T
        np.testing.assert_allclose(matrix[:3, 3], data.body(link.name).xpos, atol=TOLERANCE)
        np.testing.assert_allclose(matrix[:3, :3], data.body(link.name).xmat.reshape(3, 3), atol=TOLERANCE)


def test_masses_and_inertias(robot: Robot, stage: Usd.Stage) -> None:
    for link in read_tree(robot).links:
        mass = UsdPhysics.MassAPI(stage.GetDefaultPrim().GetChild(link.name))
        if not link.mass:
            assert link.name == robot.base_body
            continue
        assert mass.GetMassAttr().Get() == pytest.approx(link.mass, rel=TOLERANCE)
        np.testing.assert_allclose(mass.GetCenterOfMassAttr().Get(), link.com, atol=TOLERANCE)
        axes = frame(Gf.Vec3f(), mass.GetPrincipalAxesAttr().Get())[:3, :3]
        tensor = axes @ np.diag(mass.GetDiagonalInertiaAttr().Get()) @ axes.T
        np.testing.assert_allclose(tensor, link.inertia, atol=TOLERANCE * np.abs(link.inertia).max())


def test_limits_and_dynamics(robot: Robot, stage: Usd.Stage) -> None:
    tree = {joint.name: joint for joint in read_tree(robot).joints}
    for joint in robot.joints:
        prim = stage.GetDefaultPrim().GetChild("joints").GetChild(joint.name)
        turns = joint.kind == "hinge"
        assert prim.GetTypeName() == ("PhysicsRevoluteJoint" if turns else "PhysicsPrismaticJoint")
        unit = DEGREE if turns else 1.0

        def value(name: str, prim: Usd.Prim = prim) -> float:
            return prim.GetAttribute(name).Get()

        drive = f"drive:{'angular' if turns else 'linear'}:physics"
        found = {
            "lower": value("physics:lowerLimit") * unit,
            "upper": value("physics:upperLimit") * unit,
            "velocity_limit": value("newton:velocityLimit") * unit,
            "physx_velocity": value("physxJoint:maxJointVelocity") * unit,
            "armature": value("newton:armature"),
            "damping": value("newton:damping") / unit,
            "friction": value("newton:friction"),
        }
        expected = {
            "lower": joint.lower,
            "upper": joint.upper,
            "velocity_limit": joint.velocity_limit,
            "physx_velocity": joint.velocity_limit,
            "armature": tree[joint.name].armature,
            "damping": tree[joint.name].damping,
            "friction": tree[joint.name].friction,
        }
        assert prim.HasAPI(UsdPhysics.DriveAPI) == (not joint.passive)
        if not joint.passive:
            found |= {
                "effort_limit": value(f"{drive}:maxForce"),
                "kp": value(f"{drive}:stiffness") / unit,
                "kd": value(f"{drive}:damping") / unit,
                "default_pos": value(f"{drive}:targetPosition") * unit,
            }
            expected |= {name: getattr(joint, name) for name in ("effort_limit", "kp", "kd", "default_pos")}
        assert found == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


def test_shapes_are_those_of_the_mjcf(robot: Robot, stage: Usd.Stage) -> None:
    _, data = posed(robot, np.zeros(robot.num_joints))
    seen = 0
    for link in read_tree(robot).links:
        body = stage.GetDefaultPrim().GetChild(link.name)
        for geom in (geom for geom in link.geoms if geom.name):
            seen += 1
            prim = body.GetChild("collisions" if geom.collides else "visuals").GetChild(geom.name)
            assert prim.HasAPI(UsdPhysics.CollisionAPI) == geom.collides
            assert UsdGeom.Imageable(prim).ComputePurpose() == ("guide" if geom.collides else "default")
            matrix = np.array(UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T
            scale = np.linalg.norm(matrix[:3, :3], axis=0)
            np.testing.assert_allclose(matrix[:3, 3], data.geom(geom.name).xpos, atol=TOLERANCE)
            np.testing.assert_allclose(matrix[:3, :3] / scale, data.geom(geom.name).xmat.reshape(3, 3), atol=TOLERANCE)
            assert prim.GetTypeName() == {"box": "Cube"}.get(geom.shape, geom.shape.capitalize())
            if geom.shape == "box":
                size = 0.5 * prim.GetAttribute("size").Get() * scale
            else:
                names = ("radius",) if geom.shape == "sphere" else ("radius", "height")
                size = [prim.GetAttribute(name).Get() * (0.5 if name == "height" else 1.0) for name in names]
                np.testing.assert_allclose(scale, 1.0)
            np.testing.assert_allclose(size, geom.size, rtol=TOLERANCE)
            half = np.array(prim.GetAttribute("extent").Get()[1]) * scale
            caps = geom.size[0] if geom.shape == "capsule" else 0.0
            bounds = {"box": geom.size, "sphere": [geom.size[0]] * 3}
            np.testing.assert_allclose(
                half, bounds.get(geom.shape, [geom.size[0], geom.size[0], geom.size[-1] + caps]), rtol=TOLERANCE
            )
    assert seen


def test_the_robots_friction_counts_and_it_meets_itself_not(tmp_path: Path) -> None:
    write_usd(robots.load("unitree_go2"), tmp_path / "go2.usd")
    stage = Usd.Stage.Open(str(tmp_path / "go2.usd"))
    root = stage.GetDefaultPrim()
    assert root.HasAPI(UsdPhysics.ArticulationRootAPI)
    assert root.GetAttribute("newton:selfCollisionEnabled").Get() is False
    assert root.GetAttribute("physxArticulation:enabledSelfCollisions").Get() is False
    foot = root.GetPrimAtPath("FL_calf/collisions/FL_foot")
    assert foot.GetAttribute("mjc:priority").Get() == 1
    material = stage.GetPrimAtPath(foot.GetRelationship("material:binding:physics").GetTargets()[0])
    assert UsdPhysics.MaterialAPI(material).GetDynamicFrictionAttr().Get() == pytest.approx(0.8)


def test_the_stage_is_in_metres_kilograms_and_z_is_up(stage: Usd.Stage) -> None:
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdPhysics.GetStageKilogramsPerUnit(stage) == 1.0


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.usd, \.usdc or \.usda"):
        write_usd(robots.load("unitree_go2"), tmp_path / "go2.urdf")


def test_names_that_usd_does_not_know_are_made_valid_or_refused(tmp_path: Path) -> None:
    robot = robots.load("unitree_go2")

    def renamed(changes: dict[str, str]) -> Robot:
        text = robot.mjcf.read_text()
        for old, new in changes.items():
            text = text.replace(f'<body name="{old}"', f'<body name="{new}"')
        (tmp_path / "robot.xml").write_text(text)
        return replace(robot, mjcf=tmp_path / "robot.xml")

    write_usd(renamed({"FL_hip": "FL-hip"}), tmp_path / "go2.usda")
    stage = Usd.Stage.Open(str(tmp_path / "go2.usda"))
    root = stage.GetDefaultPrim()
    assert root.GetChild(prim_name("FL-hip")).HasAPI(UsdPhysics.RigidBodyAPI)
    with pytest.raises(UsageError, match="link 'FR_hip' would have the name of 'FR-hip' in USD, FR_hip: rename it"):
        write_usd(renamed({"FL_hip": "FR-hip"}), tmp_path / "twice.usda")
    with pytest.raises(UsageError, match="link 'joints' would have the name of 'joints'"):
        write_usd(renamed({"FL_hip": "joints"}), tmp_path / "scope.usda")
