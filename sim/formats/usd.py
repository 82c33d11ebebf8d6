"""A robot as a USD stage with UsdPhysics schemas, for Isaac Lab, Newton and PhysX.

What UsdPhysics has no word for is written in the words of those who read it: `newton:` (newton-usd-schemas), `mjc:`
(Newton's MuJoCo solver) and `physx...:` (Isaac Sim). Attributes of UsdPhysics are single precision and in degrees.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.errors import UsageError
from contract.robot import Joint, Robot
from contract.rotations import quat_multiply
from sim.formats.links import Array, Geom, Link, Pose, TreeJoint
from sim.formats.tree import RobotTree, read_tree

if TYPE_CHECKING:
    from pxr import Gf, Sdf, Usd

_DEGREES = 180.0 / np.pi
_JOINTS, _MATERIALS = "joints", "materials"  # scopes beside the links


def prim_name(name: str) -> str:
    """The name that a link, joint, geom or site has in USD, which knows letters, digits and underscores only."""
    from pxr import Tf

    made: str = Tf.MakeValidIdentifier(name)
    return made


def write_usd(robot: Robot, path: Path) -> None:
    """Write the robot as a USD stage.

    The default prim, an Xform with the articulation root, holds one Xform a link, side by side, at the link's pose for
    joints at zero, and the scopes `joints` and `materials`. Links keep the body frames of the MJCF; a joint's frame
    has its x axis along the joint's. Collision shapes have purpose `guide`. Each motor is a force drive with the
    robot's gains, effort limit and default pose as the target. A bolted base without mass weighs 1 kg here. The robot
    does not collide with itself, and its friction counts over the ground's where the solver knows priorities
    (MuJoCo's).

    Args:
        robot: the robot.
        path: `.usd`, `.usdc` or `.usda`.

    Raises:
        UsageError: the suffix is another, two names are one in USD, or the MJCF holds what USD cannot; see `read_tree`.
        ModuleNotFoundError: `pxr`, from usd-exchange, is not installed.
    """
    from pxr import Usd, UsdGeom

    if path.suffix not in (".usd", ".usdc", ".usda"):
        raise UsageError(f"{path}: a USD file ends in .usd, .usdc or .usda")
    tree = read_tree(robot)
    _check_names("link", [_JOINTS, _MATERIALS, *(link.name for link in tree.links)])
    _check_names("joint", [_joint_name(link) for link in tree.links])

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetMetadata("kilogramsPerUnit", 1.0)
    root = _add_root(stage, robot)
    stage.SetDefaultPrim(stage.GetPrimAtPath(root))
    materials = _add_materials(stage, root, tree)
    poses = tree.world_poses(np.zeros(len(tree.joints)))
    for link in tree.links:
        _add_link(stage, root, link, poses[link.name], materials)
    facts = {joint.name: joint for joint in robot.joints}
    UsdGeom.Scope.Define(stage, root.AppendChild(_JOINTS))
    for link in tree.links:
        if link.joint.kind != "free":
            _add_joint(stage, root, link, facts.get(link.joint.name))
    stage.GetRootLayer().Export(str(path))


def _check_names(kind: str, names: list[str]) -> None:
    made: dict[str, str] = {}
    for name in names:
        if prim_name(name) in made:
            raise UsageError(
                f"{kind} '{name}' would have the name of '{made[prim_name(name)]}' in USD, {prim_name(name)}: rename it"
            )
        made[prim_name(name)] = name


def _joint_name(link: Link) -> str:
    return link.joint.name or f"{link.name}_fixed"


def _add_root(stage: "Usd.Stage", robot: Robot) -> "Sdf.Path":
    from pxr import Sdf, UsdGeom, UsdPhysics

    root = UsdGeom.Xform.Define(stage, f"/{prim_name(robot.name)}")
    _place(root, Pose(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])))
    prim = root.GetPrim()
    UsdPhysics.ArticulationRootAPI.Apply(prim)
    for schema, attribute in (
        ("NewtonArticulationRootAPI", "newton:selfCollisionEnabled"),
        ("PhysxArticulationAPI", "physxArticulation:enabledSelfCollisions"),
    ):
        prim.AddAppliedSchema(schema)
        _set(prim, attribute, Sdf.ValueTypeNames.Bool, False)
    path: Sdf.Path = root.GetPath()
    return path


def _add_materials(stage: "Usd.Stage", root: "Sdf.Path", tree: RobotTree) -> dict[tuple[float, ...], Any]:
    """A physics material for each set of friction coefficients."""
    from pxr import Sdf, UsdGeom, UsdPhysics, UsdShade

    scope = UsdGeom.Scope.Define(stage, root.AppendChild(_MATERIALS)).GetPath()
    frictions = dict.fromkeys(geom.friction for link in tree.links for geom in link.geoms if geom.collides)
    materials: dict[tuple[float, ...], Any] = {}
    for i, friction in enumerate(frictions):
        material = UsdShade.Material.Define(stage, scope.AppendChild(f"contact_{i}"))
        sliding, torsional, rolling = friction
        physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
        physics.CreateStaticFrictionAttr(sliding)
        physics.CreateDynamicFrictionAttr(sliding)
        physics.CreateRestitutionAttr(0.0)
        material.GetPrim().AddAppliedSchema("NewtonMaterialAPI")
        _set(material.GetPrim(), "newton:torsionalFriction", Sdf.ValueTypeNames.Float, torsional)
        _set(material.GetPrim(), "newton:rollingFriction", Sdf.ValueTypeNames.Float, rolling)
        materials[friction] = material
    return materials


def _add_link(
    stage: "Usd.Stage", root: "Sdf.Path", link: Link, pose: Pose, materials: dict[tuple[float, ...], Any]
) -> None:
    from pxr import Gf, UsdGeom, UsdPhysics

    body = UsdGeom.Xform.Define(stage, root.AppendChild(prim_name(link.name)))
    _place(body, pose)
    UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
    mass = UsdPhysics.MassAPI.Apply(body.GetPrim())
    mass.CreateMassAttr(link.mass or 1.0)
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*link.com.tolist()))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*(link.principal_inertia.tolist() if link.mass else (1.0, 1.0, 1.0))))
    mass.CreatePrincipalAxesAttr(_quatf(link.principal_quat))
    for kind, purpose in (("collisions", UsdGeom.Tokens.guide), ("visuals", UsdGeom.Tokens.default_)):
        geoms = [geom for geom in link.geoms if geom.collides == (kind == "collisions")]
        if not geoms:
            continue
        scope = UsdGeom.Scope.Define(stage, body.GetPath().AppendChild(kind))
        scope.CreatePurposeAttr(purpose)
        for i, geom in enumerate(geoms):
            name = prim_name(geom.name) if geom.name else f"{kind[:-1]}_{i}"
            _add_geom(stage, scope.GetPath().AppendChild(name), geom, materials)
    for site in link.sites:
        _place(UsdGeom.Xform.Define(stage, body.GetPath().AppendChild(prim_name(site.name))), site.pose)


def _add_geom(stage: "Usd.Stage", path: "Sdf.Path", geom: Geom, materials: dict[tuple[float, ...], Any]) -> None:
    from pxr import Gf, Sdf, UsdGeom, UsdPhysics, UsdShade

    shape: Any
    if geom.shape == "box":
        shape = UsdGeom.Cube.Define(stage, path)  # from -1 to 1
        shape.CreateSizeAttr(2.0)
        extent = [1.0, 1.0, 1.0]
    elif geom.shape == "sphere":
        shape = UsdGeom.Sphere.Define(stage, path)
        shape.CreateRadiusAttr(geom.size[0])
        extent = [geom.size[0]] * 3
    else:
        radius, half_length = geom.size
        shape = (UsdGeom.Capsule if geom.shape == "capsule" else UsdGeom.Cylinder).Define(stage, path)
        shape.CreateAxisAttr(UsdGeom.Tokens.z)
        shape.CreateRadiusAttr(radius)
        shape.CreateHeightAttr(2.0 * half_length)  # of a capsule, without its caps
        extent = [radius, radius, half_length + (radius if geom.shape == "capsule" else 0.0)]
    shape.CreateExtentAttr([Gf.Vec3f(*(-half for half in extent)), Gf.Vec3f(*extent)])
    _place(shape, geom.pose, geom.size if geom.shape == "box" else (1.0, 1.0, 1.0))
    shape.CreateDisplayColorAttr([Gf.Vec3f(*geom.rgba[:3])])
    shape.CreateDisplayOpacityAttr([geom.rgba[3]])
    if geom.collides:
        prim = shape.GetPrim()
        UsdPhysics.CollisionAPI.Apply(prim)
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(
            materials[geom.friction], UsdShade.Tokens.weakerThanDescendants, "physics"
        )
        _set(prim, "mjc:priority", Sdf.ValueTypeNames.Int, 1)


def _add_joint(stage: "Usd.Stage", root: "Sdf.Path", link: Link, facts: Joint | None) -> None:
    """The joint between a link and its parent; `facts` for one that moves."""
    from pxr import Gf, UsdPhysics

    joint = link.joint
    path = root.AppendChild(_JOINTS).AppendChild(prim_name(_joint_name(link)))
    schema: Any = {
        "hinge": UsdPhysics.RevoluteJoint,
        "slide": UsdPhysics.PrismaticJoint,
        "fixed": UsdPhysics.FixedJoint,
    }[joint.kind]
    made = schema.Define(stage, path)
    if link.parent:
        made.CreateBody0Rel().SetTargets([root.AppendChild(prim_name(link.parent))])
    made.CreateBody1Rel().SetTargets([root.AppendChild(prim_name(link.name))])
    turn = _from_x(joint.axis) if joint.moves else np.array([1.0, 0.0, 0.0, 0.0])
    made.CreateLocalPos0Attr(Gf.Vec3f(*joint.origin.point(joint.anchor).tolist()))
    made.CreateLocalRot0Attr(_quatf(quat_multiply(joint.origin.quat, turn)))
    made.CreateLocalPos1Attr(Gf.Vec3f(*joint.anchor.tolist()))
    made.CreateLocalRot1Attr(_quatf(turn))
    if facts is not None:
        made.CreateAxisAttr(UsdPhysics.Tokens.x)
        _add_dynamics(made, joint, facts)


def _add_dynamics(made: Any, joint: TreeJoint, facts: Joint) -> None:
    from pxr import Sdf, UsdPhysics

    prim, unit = made.GetPrim(), _DEGREES if joint.kind == "hinge" else 1.0
    made.CreateLowerLimitAttr(joint.lower * unit)
    made.CreateUpperLimitAttr(joint.upper * unit)
    for schema, values in (
        (
            "NewtonJointAPI",
            {
                "newton:armature": joint.armature,
                "newton:damping": joint.damping / unit,
                "newton:friction": joint.friction,
                "newton:velocityLimit": joint.velocity_limit * unit,
            },
        ),
        (
            "PhysxJointAPI",
            {"physxJoint:armature": joint.armature, "physxJoint:maxJointVelocity": joint.velocity_limit * unit},
        ),
    ):
        prim.AddAppliedSchema(schema)
        for name, value in values.items():
            _set(prim, name, Sdf.ValueTypeNames.Float, value)
    # MuJoCo's default stops. Those that Newton makes of its own ring: a damping ratio of 0.06.
    _set(prim, "mjc:solreflimit", Sdf.ValueTypeNames.DoubleArray, [0.02, 1.0])
    if not facts.passive:
        drive = UsdPhysics.DriveAPI.Apply(prim, "angular" if joint.kind == "hinge" else "linear")
        drive.CreateTypeAttr(UsdPhysics.Tokens.force)
        drive.CreateStiffnessAttr(facts.kp / unit)
        drive.CreateDampingAttr(facts.kd / unit)
        drive.CreateMaxForceAttr(facts.effort_limit)
        drive.CreateTargetPositionAttr(facts.default_pos * unit)


def _place(prim: Any, pose: Pose, scale: tuple[float, ...] = (1.0, 1.0, 1.0)) -> None:
    from pxr import Gf, UsdGeom

    double = UsdGeom.XformOp.PrecisionDouble
    prim.AddTranslateOp(double).Set(Gf.Vec3d(*pose.pos.tolist()))
    w, x, y, z = pose.quat.tolist()
    prim.AddOrientOp(double).Set(Gf.Quatd(w, x, y, z))
    prim.AddScaleOp(double).Set(Gf.Vec3d(*scale))


def _set(prim: "Usd.Prim", name: str, kind: Any, value: float | list[float]) -> None:
    prim.CreateAttribute(name, kind, custom=False).Set(value)


def _quatf(quat: Array) -> "Gf.Quatf":
    from pxr import Gf

    return Gf.Quatf(*quat.tolist())


def _from_x(axis: Array) -> Array:
    """A rotation that turns the x axis into `axis`, a unit vector."""
    half = np.array([1.0 + axis[0], 0.0, -axis[2], axis[1]])  # of the shortest: (1 + x.a, x cross a)
    norm = np.linalg.norm(half)
    return half / norm if norm > 1e-6 else np.array([0.0, 0.0, 0.0, 1.0])
