"""The policy's input signals out of ROS messages: the freshest sensor sample, and the velocity command."""

from collections.abc import Callable, Mapping

import numpy as np
from geometry_msgs.msg import Twist
from sensor_msgs.msg import Imu, JointState

from contract.errors import BundleError
from contract.policy_contract import CommandRange, Contract
from deploy_robot.driver import Array
from deploy_robot.ros import conversions
from deploy_robot.ros.conversions import JointOrder, stamp_key

COMMAND = "command"

_SIZES = {"imu_quat": 4, "gyro": 3}
_JOINT_FIELDS = {"joint_pos": "position", "joint_vel": "velocity", "joint_torque": "effort"}
_COMMAND_ELEMENTS = tuple(conversions.velocity_command(Twist()))


def check_inputs(contract: Contract) -> None:
    """BundleError where the policy reads a signal that the topics do not carry, naming it."""
    known = (*_JOINT_FIELDS, *_SIZES, COMMAND)
    for signal in contract.inputs:
        if signal.name not in known:
            raise BundleError(
                f"contract.json: inputs: {signal.name!r} comes on no topic; they carry {', '.join(known)}"
            )
        size = _SIZES.get(signal.name, len(contract.joint_names))
        if signal.name != COMMAND and signal.shape != (size,):
            raise BundleError(
                f"contract.json: inputs: {signal.name!r} has shape {list(signal.shape)}, the topics"
                f" carry {size} numbers"
            )
        if signal.name == COMMAND:
            _check_command(contract)


def _check_command(contract: Contract) -> None:
    if COMMAND not in contract.command_ranges:
        raise BundleError(f"contract.json: command_ranges.{COMMAND}: missing; the command must be bounded")
    for element in contract.command_ranges[COMMAND].elements:
        if element not in _COMMAND_ELEMENTS:
            raise BundleError(
                f"contract.json: command_ranges.{COMMAND}.elements: cmd_vel does not carry {element!r}, only"
                f" {', '.join(_COMMAND_ELEMENTS)}"
            )


class SensorPair:
    """The newest JointState and Imu that belong to the same sample; times are on the steady clock."""

    def __init__(self) -> None:
        self._joint: JointState | None = None
        self._imu: Imu | None = None
        self._pair: tuple[JointState, Imu] | None = None
        self._received = 0.0

    def offer_joint(self, message: JointState, now: float) -> None:
        """A new JointState."""
        self._joint = message
        self._match(now)

    def offer_imu(self, message: Imu, now: float) -> None:
        """A new Imu."""
        self._imu = message
        self._match(now)

    def newest(self, now: float, max_age: float) -> tuple[JointState, Imu] | None:
        """The pair, or None where none came within the last `max_age` s."""
        return self._pair if self._pair is not None and now - self._received <= max_age else None

    def age(self, now: float) -> float:
        """For how long the pair has been here, s."""
        return now - self._received

    def _match(self, now: float) -> None:
        if self._joint is None or self._imu is None:
            return
        if stamp_key(self._joint.header.stamp) == stamp_key(self._imu.header.stamp):
            self._pair, self._received = (self._joint, self._imu), now


class CommandInput:
    """The velocity command as the policy may see it: within its range, and zero when nobody gives one.

    Args:
        contract: names the elements and their bounds; a policy without a command has none.
        timeout: s after which a command no longer counts.
    """

    def __init__(self, contract: Contract, timeout: float) -> None:
        bounds = contract.command_ranges.get(COMMAND, CommandRange((), (), ()))
        self._elements = bounds.elements
        self._lower, self._upper = np.array(bounds.lower), np.array(bounds.upper)
        self._timeout = timeout
        self._value = np.zeros(len(self._elements))
        self._received = -np.inf

    def offer(self, command: Mapping[str, float], now: float) -> None:
        """A new command by element name. One that is not finite counts as none at all."""
        value = np.array([command[element] for element in self._elements])
        if np.isfinite(value).all():
            self._value, self._received = value, now
        else:
            self._received = -np.inf

    def value(self, now: float) -> Array:
        """(elements,) in the units of the contract. Zero is brought into range like any other command."""
        value = self._value if now - self._received <= self._timeout else np.zeros(len(self._elements))
        return np.clip(value, self._lower, self._upper)


class SignalReader:
    """Builds the graph's inputs from a sensor pair and a command.

    Args:
        contract: already accepted by `check_inputs`.
    """

    def __init__(self, contract: Contract) -> None:
        self._order = JointOrder(contract.joint_names)
        self._readers: dict[str, Callable[[JointState, Imu, Array], Array]] = {
            "imu_quat": lambda _, imu, __: conversions.imu_quat(imu),
            "gyro": lambda _, imu, __: conversions.gyro(imu),
            "joint_pos": lambda joint, _, __: self._order.read(joint, "position"),
            "joint_vel": lambda joint, _, __: self._order.read(joint, "velocity"),
            "joint_torque": lambda joint, _, __: self._order.read(joint, "effort"),
            COMMAND: lambda _, __, command: command,
        }
        self._names = [signal.name for signal in contract.inputs]

    def read(self, joint: JointState, imu: Imu, command: Array) -> dict[str, Array]:
        """Every input signal by name, (1, size) each.

        Raises:
            MessageError: the joint message is not of this robot.
        """
        return {name: self._readers[name](joint, imu, command)[np.newaxis] for name in self._names}
