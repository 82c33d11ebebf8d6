"""What the robot permits, tightened by a bundle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from contract.errors import BundleError
from contract.policy_contract import FILE, Contract, check_robot
from contract.robot import Robot
from contract.rotations import quat_rotate_inverse
from deploy_robot.driver import Array

DEFAULT_CONTROL_PERIOD = 0.02  # s, as long as no policy says otherwise


@dataclass(frozen=True, eq=False)
class Limits:
    """The numbers that the constraints compare with; joint arrays are (num_joints,).

    Attributes:
        joint_names: in the order of the arrays.
        joint_lower, joint_upper: rad, where joints may be.
        joint_velocity: rad/s.
        joint_effort: N m.
        target_lower, target_upper: rad, what a policy may ask for; within the joint limits.
        up: (3,) the base's up axis in the IMU frame.
        control_period: s, of the policy.
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


def limits_of(robot: Robot, contract: Contract | None = None) -> Limits:
    """The robot's limits, or the bundle's where a contract is given.

    Raises:
        BundleError: the contract is for another robot, loosens a limit, or excludes a pose that is needed.
    """
    up = np.array(quat_rotate_inverse(robot.base_from_imu, [0.0, 0.0, 1.0]), dtype=np.float64)
    if contract is None:
        return Limits(
            robot.joint_names,
            robot.joint_lower,
            robot.joint_upper,
            robot.joint_velocity_limit,
            robot.joint_effort_limit,
            robot.joint_lower,
            robot.joint_upper,
            up,
            DEFAULT_CONTROL_PERIOD,
        )
    check_robot(contract, robot)
    limits = Limits(
        robot.joint_names,
        np.array(contract.joint_lower),
        np.array(contract.joint_upper),
        np.array(contract.velocity_limit),
        np.array(contract.effort_limit),
        np.array(contract.action_lower),
        np.array(contract.action_upper),
        up,
        contract.control_period,
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


def _must_contain(name: str, what: str, pose: ArrayLike, lower: Array, upper: Array, robot: Robot) -> None:
    pose = np.asarray(pose)
    for j in np.flatnonzero(~((lower <= pose) & (pose <= upper))):
        side = "lower" if not lower[j] <= pose[j] else "upper"
        bound = (lower if side == "lower" else upper)[j]
        raise BundleError(
            f"{FILE}: {name}_{side}[{j}]: {robot.joints[j].name}: {bound:g} rad excludes {what}, which is"
            f" {pose[j]:g} rad: widen it"
        )
