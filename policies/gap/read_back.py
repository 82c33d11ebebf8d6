"""What an engine reports right after it was put into a state: the first place where a border may be wrong."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.robot import Robot
from contract.rotations import quat_conjugate, quat_multiply, quat_rotate, quat_rotate_inverse
from policies.gap.finding import Finding, listed, worst_first
from policies.gap.joints import JointMap, match
from policies.gap.response import Response
from policies.gap.state import State

Floats = NDArray[np.floating[Any]]

READ_TOLERANCE = 1e-3  # rad, rad/s, m, m/s: far above the rounding of float32, far below what would matter


def read_back(engine: str, response: Response, robot: Robot) -> Iterator[Finding]:
    """What an engine, asked at once, says of itself otherwise than it was told; the pattern where one explains it."""
    names, given = robot.joint_names, response.start
    said: set[str] = set()
    for source, read in (("sensors", response.seen), ("state", response.placed)):
        for signal, unit in (("joint_pos", "rad"), ("joint_vel", "rad/s")):
            joints = match(getattr(read, signal), getattr(given, signal))
            error = np.abs(getattr(read, signal) - getattr(given, signal)).max(axis=0)
            if signal in said or not error.max() > READ_TOLERANCE:
                continue
            said.add(signal)
            wrong = worst_first(names, error, READ_TOLERANCE)
            yield Finding(
                "contract", engine, signal, wrong, float(error.max()), unit,
                f"{engine} is told {signal} and its {source} report another: "
                + (joints.describe(names) or _shifts(joints, names, unit)),
            )  # fmt: skip
        # A fixed base stays where it is, whatever it is told.
        for signal, unit, off, pattern in () if robot.fixed_base else _root_errors(given, read):
            if signal in said or not off > READ_TOLERANCE:
                continue
            said.add(signal)
            yield Finding(
                "contract", engine, signal, (), off, unit,
                f"{engine} is told {signal} and its {source} report another,"
                f" by up to {off:.3g} {unit}{pattern}",
            )  # fmt: skip


def _root_errors(given: State, read: State) -> Iterator[tuple[str, str, float, str]]:
    """Signal, unit, largest error, and the pattern that explains it."""
    quat = given.root_quat

    def angle(q: Floats) -> float:
        turned = quat_multiply(quat_conjugate(quat), q)
        return float(2.0 * np.arctan2(np.linalg.norm(turned[:, 1:], axis=1), np.abs(turned[:, 0])).max())

    def far(a: Floats, b: Floats) -> float:
        return float(np.abs(a - b).max())

    orders = {
        "the order is (x, y, z, w)": np.roll(read.root_quat, 1, axis=1),
        "inverted": quat_conjugate(read.root_quat),
    }
    yield "imu_quat", "rad", angle(read.root_quat), _explained({k: angle(q) for k, q in orders.items()})
    for signal, given_vel, read_vel in (
        ("gyro", given.root_ang_vel, read.root_ang_vel),
        ("base velocity", given.root_lin_vel, read.root_lin_vel),
    ):
        frames = {
            "it is turned into the world frame": quat_rotate(quat, given_vel),
            "it is turned into the base frame": quat_rotate_inverse(quat, given_vel),
            "inverted": -given_vel,
        }
        unit = "rad/s" if signal == "gyro" else "m/s"
        patterns = {k: far(v, read_vel) for k, v in frames.items()}
        yield signal, unit, far(given_vel, read_vel), _explained(patterns)
    yield "base position", "m", far(given.root_pos, read.root_pos), ""


def _explained(left: dict[str, float]) -> str:
    pattern = min(left, key=lambda name: left[name])
    return f": {pattern}" if left[pattern] <= READ_TOLERANCE else ""


def _shifts(joints: JointMap, names: Sequence[str], unit: str) -> str:
    shifted = np.abs(joints.offset)
    if joints.residual.max() > READ_TOLERANCE:
        worst = int(joints.residual.argmax())
        return f"{names[worst]} is off by {joints.residual[worst]:.3g} {unit} (root mean square), in no fixed way"
    order = np.argsort(-shifted)
    return listed(
        [f"{names[i]} is shifted by {joints.offset[i]:+.3g} {unit}" for i in order if shifted[i] > READ_TOLERANCE]
    )
