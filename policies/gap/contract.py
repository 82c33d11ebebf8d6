"""Where an engine does not keep the bundle's contract: what it reads, which joint is which, its motors, its clock.

All is found by experiment on noiseless simulations, where a fit of the right law is exact to rounding: tolerances are
far above rounding and far below what would still be the same robot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot.onnx_policy import GOLDEN_TOLERANCE, OnnxPolicy
from policies.gap.finding import Finding, listed, worst_first
from policies.gap.joints import JointMap, match_moves
from policies.gap.motors import Motors
from policies.gap.read_back import READ_TOLERANCE, read_back
from policies.gap.response import GENTLE_ROWS, Response
from policies.gap.run import CLOSED, Run

Floats = NDArray[np.floating[Any]]

MOVE_TOLERANCE = 1e-3  # m, of a foot when a joint moves by 0.05 rad; the links of a leg move it by 10 to 20 mm
GAIN_TOLERANCE = 0.05  # of kp, kd or the effort limit
OFFSET_TOLERANCE = 0.01  # rad
PERIOD_TOLERANCE = 0.02  # of the control period
_LAW = 0.1  # of the torque that the servo's law must explain all but


@dataclass(frozen=True)
class Probes:
    """Experiments with one engine that tell what it takes its inputs for.

    Attributes:
        response: to `policies.gap.response.wild` states. feet: as `policies.gap.response.feet_by_joint` gives them.
    """

    engine: str
    response: Response
    feet: NDArray[np.float32] | None
    motors: Motors


def replayed(policy: OnnxPolicy, run: Run) -> float:
    """Largest difference, rad, of the targets of a run and of its signals given to the policy once more."""
    policy.reset()
    worst = 0.0
    for step in range(run.steps(CLOSED)):
        target = policy.step({name: values[step] for name, values in run.signals.items()})
        worst = max(worst, float(np.abs(target[CLOSED] - run.target[step, CLOSED]).max()))
    return worst


def findings(
    contract: Contract, robot: Robot, first: Probes, second: Probes, replay: dict[str, float]
) -> list[Finding]:
    """Every breach, those of the bundle itself first. `replay` is what `replayed` gave for each engine."""
    found = list(_bundle(contract, robot))
    for engine, worst in replay.items():
        if not worst <= GOLDEN_TOLERANCE:
            found.append(
                Finding(
                    "contract", engine, "target", (), worst, "rad",
                    f"the policy gives other targets for the same signals of {engine}, by up to {worst:.2g} rad",
                )
            )  # fmt: skip
    for probes in (first, second):
        misread = list(read_back(probes.engine, probes.response, robot))
        found += misread
        if not misread:  # else what motors and time do is not what is read
            found += _motors(probes, contract)
            found += _clock(probes, contract)
    found += _kinematics(first, second, robot)
    return found


def other_joints(maps: Sequence[JointMap], names: Sequence[str], here: str, there: str) -> Iterator[Finding]:
    """Joints of two engines are not the same ones, in one of the ways `maps`."""
    if maps:
        wrong = tuple(dict.fromkeys(names[i] for joints in maps for i in joints.moved))
        ways = ", or ".join(joints.describe(names) for joints in maps)
        yield Finding(
            "contract", there, "joint_pos", wrong, float(len(maps[0].moved)), "joints",
            f"joints of {there} are not those of {here}: {ways}",
        )  # fmt: skip


def _bundle(contract: Contract, robot: Robot) -> Iterator[Finding]:
    for field, unit, promised, described in (
        ("default_joint_pos", "rad", contract.default_joint_pos, robot.default_joint_pos),
        ("joint_lower", "rad", contract.joint_lower, robot.joint_lower),
        ("joint_upper", "rad", contract.joint_upper, robot.joint_upper),
        ("velocity_limit", "rad/s", contract.velocity_limit, robot.joint_velocity_limit),
        ("effort_limit", "N m", contract.effort_limit, robot.joint_effort_limit),
    ):
        difference = np.array(promised) - described
        if np.abs(difference).max() > READ_TOLERANCE:
            joints = worst_first(contract.joint_names, np.abs(difference), READ_TOLERANCE)
            size = float(np.abs(difference).max())
            yield Finding(
                "contract", "bundle", field, joints, size, unit,
                f"contract.json and the robot's description differ in {field} of {listed(joints)}"
                f" by up to {size:.3g} {unit}",
            )  # fmt: skip


def _motors(probes: Probes, contract: Contract) -> Iterator[Finding]:
    motors, names, engine = probes.motors, contract.joint_names, probes.engine
    stuck = [i for i, kp in enumerate(contract.kp) if kp > 0.0 and np.isnan(motors.kp[i])]
    if stuck:
        torque = np.abs(probes.response.torque[:, stuck]).max()
        joints = tuple(names[i] for i in stuck)
        yield Finding(
            "contract", engine, "torque", joints, float(torque), "N m",
            f"motors of {engine} do not follow their targets: {listed(joints)} stay at {torque:.3g} N m or less,"
            " or at their limits",
        )  # fmt: skip
    if motors.map.moved:
        joints = tuple(names[i] for i in motors.map.moved)
        yield Finding(
            "contract", engine, "target", joints, float(len(joints)), "joints",
            f"targets reach the wrong joints in {engine}: {motors.map.describe(names)}",
        )  # fmt: skip
    offset = np.nan_to_num(motors.offset)
    if np.abs(offset).max() > OFFSET_TOLERANCE:
        joints = worst_first(names, np.abs(offset), OFFSET_TOLERANCE)
        default = np.array(contract.default_joint_pos)
        cause = ": the default pose, once more" if np.abs(offset - default).max() < OFFSET_TOLERANCE else ""
        cause = ": minus the default pose" if np.abs(offset + default).max() < OFFSET_TOLERANCE else cause
        shown = _by_value([(name, f"{offset[names.index(name)]:+.3g} rad") for name in joints], names)
        yield Finding(
            "contract", engine, "target", joints, float(np.abs(offset).max()), "rad",
            f"{engine} adds an offset to targets{cause}: {shown}",
        )  # fmt: skip
    for field, unit, found, promised in (
        ("kp", "N m/rad", motors.kp, contract.kp),
        ("kd", "N m s/rad", motors.kd, contract.kd),
        ("effort limit", "N m", motors.limit, contract.effort_limit),
    ):
        wanted = np.array(promised)
        off = np.nan_to_num(np.abs(found - wanted) / np.maximum(wanted, 1e-9))
        if off.max() > GAIN_TOLERANCE:
            joints = worst_first(names, off, GAIN_TOLERANCE)
            shown = _by_value(
                [(n, f"{found[names.index(n)]:.3g} for {wanted[names.index(n)]:.3g}") for n in joints], names
            )
            yield Finding(
                "contract", engine, "torque", joints, float(off.max()), f"of {field}",
                f"motors of {engine} have another {field} than the contract, in {unit}: {shown}",
            )  # fmt: skip
    unlike = np.nan_to_num(motors.residual / np.maximum(motors.torque, 1e-9))
    if unlike.max() > _LAW:
        joints = worst_first(names, unlike, _LAW)
        yield Finding(
            "contract", engine, "torque", joints, float(unlike.max()), "of the torque",
            f"torques of {engine} do not follow kp (target - q) - kd qd: {listed(joints)}",
        )  # fmt: skip


def _clock(probes: Probes, contract: Contract) -> Iterator[Finding]:
    """How long a period lasts: the joints' way over their mean velocity, of gentle motions.

    The second column takes up what the integrator and the trapezoidal rule make of a change of velocity.
    """
    response, rows = probes.response, GENTLE_ROWS
    way = (response.after.joint_pos - response.start.joint_pos)[rows].ravel().astype(np.float64)
    change = response.after.joint_vel - response.start.joint_vel
    columns = np.stack([response.mean_vel[rows].ravel(), change[rows].ravel()], axis=1).astype(np.float64)
    lasted = float(np.linalg.lstsq(columns, way, rcond=None)[0][0])
    off = abs(lasted / contract.control_period - 1.0)
    if not off <= PERIOD_TOLERANCE:
        yield Finding(
            "contract", probes.engine, "control period", (), lasted - contract.control_period, "s",
            f"a control period of {probes.engine} lasts {1e3 * lasted:.3g} ms,"
            f" the contract says {1e3 * contract.control_period:g} ms",
        )  # fmt: skip


def _kinematics(first: Probes, second: Probes, robot: Robot) -> Iterator[Finding]:
    if first.feet is None or second.feet is None:
        return
    here, there = ((feet[1:] - feet[0]).reshape(robot.num_joints, -1) for feet in (first.feet, second.feet))
    far = np.abs(here - there).max(axis=1)
    gap = np.linalg.norm(first.feet[0] - second.feet[0], axis=1)
    if not max(far.max(), gap.max()) > MOVE_TOLERANCE:
        return
    names, between = robot.joint_names, f"{second.engine} and {first.engine}"
    found = match_moves(there, here, MOVE_TOLERANCE)
    if found is not None and found.moved:
        yield from other_joints([found], names, first.engine, second.engine)
    elif gap.max() > MOVE_TOLERANCE:
        foot = robot.feet[int(gap.argmax())].name
        yield Finding(
            "contract", second.engine, "foot position", (foot,), float(gap.max()), "m",
            f"{between} hold foot {foot} {1e3 * gap.max():.1f} mm apart at the same joint positions:"
            " another zero of a joint, or other links",
        )  # fmt: skip
    else:
        joint = names[int(far.argmax())]
        yield Finding(
            "contract", second.engine, "joint_pos", (joint,), float(far.max()), "m",
            f"{joint} moves feet otherwise in {between}, by {1e3 * far.max():.1f} mm in a twentieth of a radian:"
            " another axis, or other links",
        )  # fmt: skip


def _by_value(rows: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """`20 for 25 (a, b), 10 for 25 (c)`, or `20 for 25 (all joints)`."""
    groups: dict[str, list[str]] = {}
    for name, value in rows:
        groups.setdefault(value, []).append(name)
    said = [
        f"{value} ({'all joints' if len(group) == len(names) else listed(group)})" for value, group in groups.items()
    ]
    return listed(said)
