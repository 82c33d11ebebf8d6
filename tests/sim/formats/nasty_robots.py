"""Robots that no one would build, to find what a format gets wrong, and MuJoCo's view of a robot in a pose."""

from pathlib import Path

import mujoco
import numpy as np

from contract.robot import Joint, Robot, Source
from contract.rotations import quat_to_matrix


def _text(*values: float) -> str:
    return " ".join(repr(float(value)) for value in values)


def _turn(rng: np.random.Generator) -> str:
    quat = rng.normal(size=4)
    return _text(*quat / np.linalg.norm(quat))


def _geom(rng: np.random.Generator, name: str) -> str:
    shape = rng.choice(["box", "sphere", "capsule", "cylinder"])
    count = {"box": 3, "sphere": 1}.get(str(shape), 2)
    bits = (
        'group="3" contype="0" conaffinity="1" priority="1"'
        if rng.random() < 0.5
        else ('group="2" contype="0" conaffinity="0"')
    )
    return (
        f'<geom name="{name}" type="{shape}" size="{_text(*rng.uniform(0.01, 0.1, count))}" {bits} mass="0" '
        f'pos="{_text(*rng.normal(size=3))}" quat="{_turn(rng)}" friction="{_text(*rng.uniform(0.1, 1.0, 3))}"/>'
    )


def nasty_robot(folder: Path, seed: int, *, fixed_base: bool) -> Robot:
    """A tree of nine bodies: hinges, slides and bodies without a joint, in random places and orders.

    Joints have oblique axes anchored off the body's origin, and are placed at a `ref` that is not zero; inertias are
    about turned axes; bodies carry up to three shapes and a turned site. The base is bolted askew, or floats.
    """
    rng = np.random.default_rng(seed)
    joints: list[Joint] = []
    children: dict[int, list[int]] = {i: [] for i in range(9)}
    for i in range(1, 9):
        children[int(rng.integers(0, i))].append(i)

    def body(i: int) -> str:
        moments = rng.uniform(1.0, 2.0, 3)  # any two of them exceed the third
        parts = [
            f'<inertial mass="{_text(rng.uniform(0.1, 3.0))}" pos="{_text(*rng.normal(size=3) * 0.1)}" '
            f'quat="{_turn(rng)}" diaginertia="{_text(*moments * rng.uniform(1e-4, 1e-1))}"/>',
            f'<site name="site_{i}" pos="{_text(*rng.normal(size=3))}" quat="{_turn(rng)}"/>',
            *(_geom(rng, f"geom_{i}_{j}") for j in range(int(rng.integers(0, 4)))),
        ]
        if i == 0 and not fixed_base:
            parts.append('<freejoint name="root"/>')
        # The last body always moves, so that there is a joint.
        elif i and (rng.random() < 0.75 or i == 8):
            parts.append(joint(i))
        parts += [body(child) for child in children[i]]
        place = f'pos="{_text(*rng.normal(size=3) * 0.3)}" quat="{_turn(rng)}"'
        return f'<body name="link_{i}" {place}>{"".join(parts)}</body>'

    def joint(i: int) -> str:
        kind = "slide" if rng.random() < 0.3 else "hinge"
        lower, upper = float(-rng.uniform(0.1, 2.0)), float(rng.uniform(0.1, 2.0))
        effort = float(rng.uniform(1.0, 50.0))
        joints.append(
            Joint(
                f"joint_{i}",
                lower=lower,
                upper=upper,
                velocity_limit=float(rng.uniform(1.0, 30.0)),
                effort_limit=effort,
                default_pos=float(rng.uniform(lower, upper)),
                kp=effort,
                kd=0.02 * effort,
                kind=kind,
            )
        )
        return (
            f'<joint name="joint_{i}" type="{kind}" axis="{_text(*rng.normal(size=3))}" '
            f'pos="{_text(*rng.normal(size=3) * 0.2)}" range="{_text(lower, upper)}" ref="{_text(rng.normal() * 0.5)}" '
            f'damping="{_text(rng.uniform(0.0, 1.0))}" frictionloss="{_text(rng.uniform(0.0, 1.0))}" '
            f'armature="{_text(rng.uniform(0.0, 0.1))}"/>'
        )

    path = folder / "robot.xml"
    path.write_text(f'<mujoco model="nasty"><compiler angle="radian"/><worldbody>{body(0)}</worldbody></mujoco>')
    return Robot(
        name="nasty",
        title="Nasty",
        mjcf=path,
        base_body="link_0",
        joints=tuple(joints),
        standing_height=1.0,
        sources=(Source("everything", "a random generator"),),
        fixed_base=fixed_base,
    )


def posed(robot: Robot, joint_pos: np.ndarray) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """MuJoCo's model of the robot, at a pose, the base where the MJCF puts it."""
    model = mujoco.MjModel.from_xml_path(str(robot.mjcf))
    data = mujoco.MjData(model)
    for name, q in zip(robot.joint_names, joint_pos, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = q
    mujoco.mj_forward(model, data)
    return model, data


def random_pose(robot: Robot, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(robot.joint_lower, robot.joint_upper)


def assert_same_rotation(a: np.ndarray, b: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(quat_to_matrix(a), quat_to_matrix(b), atol=atol)


def mass_matrix(robot: Robot, q: np.ndarray) -> np.ndarray:
    """Of the joints, the base held, without armature, of which URDF knows nothing."""
    model, data = posed(robot, q)
    model.dof_armature[:] = 0.0
    mujoco.mj_forward(model, data)
    full = np.empty((model.nv, model.nv))
    mujoco.mj_fullM(model, data, full)
    first = 0 if robot.fixed_base else 6
    return full[first:, first:]
