"""MJCF as links and joints, with what its actuators and keyframes say about the motors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np

from contract.errors import UsageError
from sim.formats.importing.found import Found, Guess, Motor
from sim.formats.importing.shapes import fitted_geom
from sim.formats.links import Geom, Link, Pose, TreeJoint
from sim.formats.mujoco_links import is_primitive, links_of, read_geom, refuse_joints
from sim.formats.tree import RobotTree

_POSES = ("home", "stand", "default")  # keyframes, best first
# As numbers: `in` does not find a numpy integer among MuJoCo's enumerators.
_IMU = (int(mujoco.mjtSensor.mjSENS_GYRO), int(mujoco.mjtSensor.mjSENS_ACCELEROMETER))
_MOVING = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
_LOOPS = (int(mujoco.mjtEq.mjEQ_CONNECT), int(mujoco.mjtEq.mjEQ_WELD))
_ON_A_JOINT = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
_ENDLESS = (int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_HFIELD))
_UNTURNED = np.array([1.0, 0.0, 0.0, 0.0])


def read_mjcf(path: Path) -> Found:
    """Read an MJCF file, of the robot alone or of a scene with it.

    Colliding meshes and ellipsoids become primitives; those that are only seen are left out. Springs, tendons and
    couplings of joints are left out, too.

    Raises:
        UsageError: MuJoCo cannot compile the file, or the robot is no tree of hinges and slides on one base.
    """
    try:
        spec = mujoco.MjSpec.from_file(str(path))
        _name_everything(spec)
        model = spec.compile()
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: MuJoCo cannot read it: {' '.join(str(error).split())}") from error

    def refuse(what: str) -> UsageError:
        return UsageError(f"{path}: {what}; a robot here is a tree of hinges and slides on one base, one a body")

    refuse_joints(model, refuse)
    if np.isin(model.eq_type, _LOOPS).any():
        raise refuse("bodies are tied together by connect or weld, so that they form a loop")
    guesses: list[Guess] = []
    bodies = _bodies(model, refuse)
    links = tuple(_seen(model, link) for link in links_of(model, bodies, _geom_reader(guesses)))
    if links[0].joint.moves:
        links = _on_a_base(links)
        guesses.append(
            Guess("base", links[0].name, "the joints hang on the world itself: a link bolted to it, of no mass")
        )
    guesses += _left_out(model)
    tree = RobotTree(spec.modelname or path.stem, links)
    return Found(
        tree,
        motors={joint.name: _motor(model, joint.name) for joint in tree.joints},
        default_pos=_pose(model, tree),
        imu=_imu(model, bodies),
        fixed_base=links[0].joint.kind == "fixed",
        guesses=tuple(guesses),
    )


def _name_everything(spec: mujoco.MjSpec) -> None:
    """Names for bodies and joints that have none."""
    for kind, elements in (("body", spec.bodies[1:]), ("joint", spec.joints)):
        taken = {element.name for element in elements}
        for i, element in enumerate(elements):
            if not element.name:
                element.name = _unused(f"{kind}_{i}", taken)
                taken.add(element.name)


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _bodies(model: mujoco.MjModel, refuse: Callable[[str], UsageError]) -> list[int]:
    """Numbers of the robot's bodies: those of the one tree in the world that has joints that move."""
    moves = np.isin(model.jnt_type, _MOVING)
    moving = {int(model.body_rootid[body]) for body in model.jnt_bodyid[moves]}
    if len(moving) != 1:
        names = ", ".join(model.body(root).name for root in sorted(moving))
        raise refuse(f"it has {len(moving)} robots ({names})" if moving else "it has no hinge or slide")
    return [body for body in range(1, model.nbody) if model.body_rootid[body] == min(moving)]


def _on_a_base(links: tuple[Link, ...]) -> tuple[Link, ...]:
    """The same links on one more that is bolted to the world."""
    first, nowhere = links[0], np.zeros(3)
    name = _unused("base", {link.name for link in links})
    bolted = TreeJoint("", "fixed", Pose(nowhere, _UNTURNED), first.joint.axis, nowhere)
    base = Link(name, "", bolted, 0.0, nowhere, nowhere, _UNTURNED, (), ())
    return (base, replace(first, parent=name), *links[1:])


def _geom_reader(guesses: list[Guess]) -> Callable[[mujoco.MjModel, int], Geom | None]:
    """Reads primitives, and what collides as one; notes in `guesses` what it replaces."""

    def read(model: mujoco.MjModel, i: int) -> Geom | None:
        collides = bool(model.geom_contype[i] or model.geom_conaffinity[i])
        material = model.geom_matid[i]
        rgba = tuple(float(str(part)) for part in (model.geom_rgba[i] if material < 0 else model.mat_rgba[material]))
        if is_primitive(model, i):
            return replace(read_geom(model, i), collides=collides, rgba=rgba)
        if model.geom_type[i] in _ENDLESS or not collides:
            return None
        shape, size, pose = fitted_geom(model, i)
        body, kind = model.body(model.geom_bodyid[i]).name, mujoco.mjtGeom(model.geom_type[i]).name
        why = f"fitted to the bounds of its {kind.removeprefix('mjGEOM_').lower()}"
        guesses.append(Guess(f"collision shape of {body}", shape, why))
        return Geom(model.geom(i).name, shape, size, pose, rgba, tuple(model.geom_friction[i].tolist()), True)

    return read


def _seen(model: mujoco.MjModel, link: Link) -> Link:
    """The link with its collision shapes to be seen, too, where something that is only seen was left out."""
    mine = np.flatnonzero(model.geom_bodyid == model.body(link.name).id)
    if len(link.geoms) == len(mine):
        return link
    return replace(link, geoms=(*link.geoms, *(replace(geom, collides=False) for geom in link.geoms if geom.collides)))


def _left_out(model: mujoco.MjModel) -> list[Guess]:
    springs = [model.joint(i).name for i in range(model.njnt) if np.any(model.joint(i).stiffness)]
    seen = int(
        np.sum(
            (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH) & (model.geom_contype == 0) & (model.geom_conaffinity == 0)
        )
    )
    counted = (
        ("springs", len(springs), f"of joints {', '.join(springs)}"),
        ("couplings", model.neq, "equality constraints between joints or tendons"),
        ("tendons", model.ntendon, "motors that pull on them, too"),
        ("visual meshes", seen, "the collision shapes are drawn; files of meshes do not travel"),
    )
    return [Guess(what, f"{count} left out", why) for what, count, why in counted if count]


def _motor(model: mujoco.MjModel, joint: str) -> Motor:
    """The actuator on `joint`: its gains where it is a position servo, its force limit, both at the joint."""
    number = model.joint(joint).id
    mine = [
        i for i in range(model.nu) if model.actuator_trntype[i] in _ON_A_JOINT and model.actuator_trnid[i, 0] == number
    ]
    if not mine:
        return Motor(passive=model.nu > 0)  # a file without any actuator says nothing about motors
    i = mine[0]
    gear, gain, bias = model.actuator_gear[i, 0], model.actuator_gainprm[i], model.actuator_biasprm[i]
    limits = []
    if model.actuator_forcelimited[i]:
        limits.append(np.abs(gear * model.actuator_forcerange[i]).max())
    if model.jnt_actfrclimited[number]:
        limits.append(np.abs(model.jnt_actfrcrange[number]).max())
    affine = model.actuator_biastype[i] == mujoco.mjtBias.mjBIAS_AFFINE
    if not affine and model.actuator_ctrllimited[i]:
        limits.append(np.abs(gear * gain[0] * model.actuator_ctrlrange[i]).max())
    servo = affine and gain[0] > 0.0 and bias[1] == -gain[0]
    return Motor(
        effort_limit=float(min(limits)) if limits else None,
        kp=float(gain[0] * gear**2) if servo else None,
        kd=float(-bias[2] * gear**2) if servo else None,
    )


def _pose(model: mujoco.MjModel, tree: RobotTree) -> dict[str, float]:
    """Joint positions of the keyframe that is most likely the one to stand in."""
    names = [model.key(i).name for i in range(model.nkey)]
    if not names:
        return {}
    ranks = [next((rank for rank, word in enumerate(_POSES) if word in name), len(_POSES)) for name in names]
    qpos = model.key_qpos[int(np.argmin(ranks))]
    return {joint.name: float(qpos[model.joint(joint.name).qposadr[0]]) for joint in tree.joints}


def _imu(model: mujoco.MjModel, bodies: list[int]) -> tuple[str, Pose] | None:
    """The site of a gyro or accelerometer, else one that is called so."""
    measured = [int(model.sensor_objid[i]) for i in range(model.nsensor) if model.sensor_type[i] in _IMU]
    called = [i for i in range(model.nsite) if "imu" in model.site(i).name.lower()]
    for i in (*measured, *called):
        if model.site_bodyid[i] in bodies:
            pose = Pose(model.site_pos[i].copy(), model.site_quat[i].copy())
            return model.body(model.site_bodyid[i]).name, pose
    return None
