"""What the robot permits, tightened by a bundle, and what its policy was trained for."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from contract.errors import BundleError
from contract.policy_contract import FILE, Contract, check_robot
from contract.robot import Robot
from contract.rotations import quat_rotate_inverse
from deploy_robot.driver import Array
from deploy_robot.geometry import Geometry

DEFAULT_CONTROL_PERIOD = 0.02  # s, as long as no policy says otherwise
COMMAND = "command"

# Those that robot_node measures itself. Not the orientation: its heading is free, and each component with it.
ENVELOPE_SIGNALS = ("joint_pos", "joint_vel", "gyro")
ENVELOPE_MARGIN = 0.25  # of the range between the percentiles, on either side
_ROUNDING = 1e-5  # of numbers in float64 that went through a float32 graph


@dataclass(frozen=True, eq=False)
class Limits:
    """The numbers that the constraints compare with; joint arrays are (num_joints,).

    Attributes:
        joint_names: in the order of the arrays.
        joint_lower, joint_upper: rad, where joints may be.
        joint_velocity: rad/s.
        joint_effort: N m; infinite for a joint without a motor, which gives no torque that could be too much.
        target_lower, target_upper: rad, what a policy may ask for; within the joint limits.
        up: (3,) the base's up axis in the IMU frame.
        control_period: s, of the policy.
        power: W, of all joints together.
        temperature: degrees Celsius, of a motor; this and the others below are None or empty where nothing is known.
        battery: smallest charge, from 0 to 1.
        foot_names: in the order of foot forces.
        foot_force: N, on one foot.
        standing_height, base_height: m, of the base above the lowest foot: in the default pose, and at least.
        geometry: of the robot's parts.
        workspace_lower, workspace_upper: (3,) m, base frame.
        envelope_signals: those of ENVELOPE_SIGNALS that the policy reads and its training has seen.
        envelope_lower, envelope_upper: (numbers,) of these signals one after the other, in their units.
        command_elements: names of what the policy is told, in the order of `command_lower` and `command_upper`, in
            the policy's units; None for one that takes no command.
    """

    joint_names: tuple[str, ...]
    joint_lower: Array
    joint_upper: Array
    joint_velocity: Array
    joint_effort: Array
    target_lower: Array
    target_upper: Array
    up: Array
    control_period: float
    power: float
    temperature: float | None = None
    battery: float | None = None
    foot_names: tuple[str, ...] = ()
    foot_force: float | None = None
    standing_height: float = 0.0
    base_height: float | None = None
    geometry: Geometry | None = None
    workspace_lower: Array | None = None
    workspace_upper: Array | None = None
    envelope_signals: tuple[str, ...] = ()
    envelope_lower: Array | None = None
    envelope_upper: Array | None = None
    command_elements: tuple[str, ...] | None = None
    command_lower: Array | None = None
    command_upper: Array | None = None


def limits_of(robot: Robot, contract: Contract | None = None) -> Limits:
    """The robot's limits, or the bundle's where a contract is given.

    Raises:
        BundleError: the contract is for another robot, loosens a limit, or excludes a pose that is needed.
    """
    own = _own_limits(robot)
    if contract is None:
        return own
    check_robot(contract, robot)
    command = contract.command_ranges.get(COMMAND)
    envelope = _envelope(contract)
    limits = replace(
        own,
        joint_lower=np.array(contract.joint_lower),
        joint_upper=np.array(contract.joint_upper),
        joint_velocity=np.array(contract.velocity_limit),
        joint_effort=_efforts(contract.effort_limit),
        target_lower=np.array(contract.action_lower),
        target_upper=np.array(contract.action_upper),
        control_period=contract.control_period,
        envelope_signals=tuple(envelope),
        envelope_lower=np.concatenate([lower for lower, _ in envelope.values()]) if envelope else None,
        envelope_upper=np.concatenate([upper for _, upper in envelope.values()]) if envelope else None,
        command_elements=command.elements if command else None,
        command_lower=np.array(command.lower) - _ROUNDING if command else None,
        command_upper=np.array(command.upper) + _ROUNDING if command else None,
    )
    # Standing up starts from the rest pose and ends in the default pose, from where the policy takes over.
    _must_contain("joint", "the robot's rest pose", robot.rest_pose, limits.joint_lower, limits.joint_upper, robot)
    _must_contain(
        "action",
        "default_joint_pos",
        contract.default_joint_pos,
        limits.target_lower,
        limits.target_upper,
        robot,
    )
    return limits


def _own_limits(robot: Robot) -> Limits:
    power, workspace = robot.power_limit, robot.workspace
    if power is None:
        motors = [robot.joints[i] for i in robot.actuated]
        power = sum(motor.effort_limit * motor.velocity_limit for motor in motors)
    return Limits(
        robot.joint_names,
        robot.joint_lower,
        robot.joint_upper,
        robot.joint_velocity_limit,
        _efforts(robot.joint_effort_limit),
        robot.joint_lower,
        robot.joint_upper,
        np.array(quat_rotate_inverse(robot.base_from_imu, [0.0, 0.0, 1.0]), dtype=np.float64),
        DEFAULT_CONTROL_PERIOD,
        power,
        robot.temperature_limit,
        robot.battery_minimum,
        tuple(foot.name for foot in robot.feet),
        robot.foot_force_limit,
        robot.standing_height,
        robot.base_height_minimum,
        Geometry(robot) if robot.links else None,
        np.array(workspace.lower) if workspace else None,
        np.array(workspace.upper) if workspace else None,
    )


def _efforts(limits: ArrayLike) -> Array:
    limits = np.asarray(limits, dtype=np.float64)
    return np.where(limits > 0.0, limits, np.inf)


def _envelope(contract: Contract) -> dict[str, tuple[Array, Array]]:
    """The percentiles of training, widened: (lower, upper) of each signal that is read as it is measured."""
    bounds = {}
    for name in ENVELOPE_SIGNALS:
        statistics = contract.training_envelope.get(name)
        if statistics and len(statistics.low) == (3 if name == "gyro" else len(contract.joint_names)):
            low, high = np.array(statistics.low), np.array(statistics.high)
            margin = ENVELOPE_MARGIN * (high - low) + _ROUNDING
            bounds[name] = (low - margin, high + margin)
    return bounds


def _must_contain(name: str, what: str, pose: ArrayLike, lower: Array, upper: Array, robot: Robot) -> None:
    pose = np.asarray(pose)
    for j in np.flatnonzero(~((lower <= pose) & (pose <= upper))):
        side = "lower" if not lower[j] <= pose[j] else "upper"
        bound = (lower if side == "lower" else upper)[j]
        raise BundleError(
            f"{FILE}: {name}_{side}[{j}]: {robot.joints[j].name}: {bound:g} rad excludes {what}, which is"
            f" {pose[j]:g} rad: widen it"
        )
