"""What must hold between the fields of a contract, and between a contract and a robot."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from contract.codec import fail
from contract.robot import Robot
from contract.signals import Signal

if TYPE_CHECKING:
    from contract.policy_contract import Contract

TARGET = "joint_target"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MAX_SIGNAL_SIZE = 1_000_000


def check(contract: "Contract") -> None:
    """FieldError naming the first field that contradicts another."""
    for name in ("robot", "task"):
        if not getattr(contract, name):
            fail(name, "must not be empty")
    if not contract.control_period > 0:
        fail("control_period", f"must be positive, got {contract.control_period!r}")
    _check_joints(contract)
    _check_signals(contract)
    _check_target(contract)
    _check_commands(contract)
    for name in ("sensor_delay", "action_delay"):
        delay = getattr(contract, name)
        if not 0 <= delay.min <= delay.max:
            fail(name, f"must satisfy 0 <= min <= max, got {delay.min!r} and {delay.max!r}")
    _check_envelope(contract)
    _check_provenance(contract)


def check_robot(contract: "Contract", robot: Robot) -> None:
    """FieldError unless the contract is made for `robot` and keeps within its limits."""
    if contract.robot != robot.name:
        fail("robot", f"made for {contract.robot!r}, and this robot is {robot.name!r}")
    _same_joints(contract.joint_names, robot.joint_names)
    for j, joint in enumerate(robot.joints):
        for name, value, limit in (
            ("joint_upper", contract.joint_upper[j], joint.upper),
            ("velocity_limit", contract.velocity_limit[j], joint.velocity_limit),
            ("effort_limit", contract.effort_limit[j], joint.effort_limit),
        ):
            if not value <= limit:
                fail(
                    f"{name}[{j}]",
                    f"{joint.name}: {value!r} loosens the robot's {limit!r}; it may only tighten it",
                )
        if not contract.joint_lower[j] >= joint.lower:
            fail(
                f"joint_lower[{j}]",
                f"{joint.name}: {contract.joint_lower[j]!r} loosens the robot's {joint.lower!r};"
                " it may only tighten it",
            )


def _same_joints(names: Sequence[str], robot_names: Sequence[str]) -> None:
    for j, name in enumerate(names):
        if name not in robot_names:
            fail(f"joint_names[{j}]", f"the robot has no joint {name!r}")
    for name in robot_names:
        if name not in names:
            fail("joint_names", f"the robot's joint {name!r} is missing")
    for j, (name, expected) in enumerate(zip(names, robot_names, strict=True)):
        if name != expected:
            fail(f"joint_names[{j}]", f"wrong order: {name!r} where the robot has {expected!r}")


def _check_signals(contract: "Contract") -> None:
    if not contract.inputs:
        fail("inputs", "must not be empty")
    names: dict[str, str] = {}
    for group in ("inputs", "memory", "outputs"):
        signals: tuple[Signal, ...] = getattr(contract, group)
        for i, signal in enumerate(signals):
            where = f"{group}[{i}]"
            if not _NAME.fullmatch(signal.name):
                fail(f"{where}.name", f"must be letters, digits and underscores, got {signal.name!r}")
            for name in (signal.name, f"next_{signal.name}") if group == "memory" else (signal.name,):
                if name in names:
                    fail(f"{where}.name", f"{name!r} is already {names[name]}")
                names[name] = where
            if not signal.shape or any(size < 1 for size in signal.shape):
                fail(f"{where}.shape", f"must have positive sizes, got {list(signal.shape)}")
            if math.prod(signal.shape) > _MAX_SIGNAL_SIZE:
                fail(
                    f"{where}.shape",
                    f"must have at most {_MAX_SIGNAL_SIZE} elements, got {list(signal.shape)}",
                )
            if signal.frame == "joint":
                _check_names(f"{where}.elements", signal.elements, contract.joint_names)
    for i, signal in enumerate(contract.inputs):
        if not signal.measurable:
            fail(
                f"inputs[{i}].measurable",
                f"{signal.name!r} cannot be measured on a robot: train the actor without it",
            )


def _check_names(where: str, names: Sequence[str], known: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            fail(f"{where}[{i}]", f"duplicate joint {name!r}")
        if name not in known:
            fail(f"{where}[{i}]", f"unknown joint {name!r}")


def _check_joints(contract: "Contract") -> None:
    if not contract.joint_names:
        fail("joint_names", "must not be empty")
    _check_names("joint_names", contract.joint_names, contract.joint_names)
    for name in (
        "kp",
        "kd",
        "default_joint_pos",
        "joint_lower",
        "joint_upper",
        "velocity_limit",
        "effort_limit",
    ):
        _check_length(name, getattr(contract, name), len(contract.joint_names))
    for name in ("action_lower", "action_upper"):
        _check_length(name, getattr(contract, name), len(contract.joint_names))
    _check_order("joint", contract.joint_lower, contract.joint_upper)
    _check_order("action", contract.action_lower, contract.action_upper)
    for j, joint in enumerate(contract.joint_names):
        for name in ("kp", "kd"):
            if not getattr(contract, name)[j] >= 0:
                fail(f"{name}[{j}]", f"{joint}: must not be negative, got {getattr(contract, name)[j]!r}")
        for name in ("velocity_limit", "effort_limit"):
            if not getattr(contract, name)[j] > 0:
                fail(f"{name}[{j}]", f"{joint}: must be positive, got {getattr(contract, name)[j]!r}")
        for name in ("default_joint_pos", "action_lower", "action_upper"):
            value = getattr(contract, name)[j]
            if not contract.joint_lower[j] <= value <= contract.joint_upper[j]:
                fail(
                    f"{name}[{j}]",
                    f"{joint}: {value!r} is outside the joint's limits"
                    f" [{contract.joint_lower[j]!r}, {contract.joint_upper[j]!r}]",
                )


def _check_target(contract: "Contract") -> None:
    for i, signal in enumerate(contract.outputs):
        if signal.name != TARGET:
            continue
        if signal.shape != (len(contract.joint_names),):
            fail(f"outputs[{i}].shape", f"must be [{len(contract.joint_names)}], got {list(signal.shape)}")
        if signal.elements and signal.elements != contract.joint_names:
            fail(f"outputs[{i}].elements", "must be joint_names, in order")
        return
    fail("outputs", f"must contain {TARGET!r}")


def _check_commands(contract: "Contract") -> None:
    inputs = {signal.name: signal for signal in contract.inputs}
    for name, command in contract.command_ranges.items():
        where = f"command_ranges.{name}"
        if name not in inputs:
            fail(where, "no input has this name")
        size = math.prod(inputs[name].shape)
        for field in ("elements", "lower", "upper"):
            _check_length(f"{where}.{field}", getattr(command, field), size)
        _check_order(where, command.lower, command.upper, separator=".")


def _check_envelope(contract: "Contract") -> None:
    inputs = {signal.name: signal for signal in contract.inputs}
    for name, statistics in contract.training_envelope.items():
        where = f"training_envelope.{name}"
        if name not in inputs:
            fail(where, "no input has this name")
        size = math.prod(inputs[name].shape)
        for field in ("mean", "std", "min", "max", "low", "high"):
            _check_length(f"{where}.{field}", getattr(statistics, field), size)
        for i in range(size):
            if not statistics.std[i] >= 0:
                fail(f"{where}.std[{i}]", f"must not be negative, got {statistics.std[i]!r}")
            if not statistics.min[i] <= statistics.low[i] <= statistics.high[i] <= statistics.max[i]:
                fail(f"{where}.low[{i}]", "must satisfy min <= low <= high <= max")


def _check_provenance(contract: "Contract") -> None:
    try:
        created = datetime.fromisoformat(contract.provenance.created)
    except ValueError:
        fail("provenance.created", f"must be an ISO 8601 time, got {contract.provenance.created!r}")
    if created.tzinfo is None:
        fail("provenance.created", f"must carry a time zone, got {contract.provenance.created!r}")


def _check_length(where: str, values: Sequence[object], expected: int) -> None:
    if len(values) != expected:
        fail(where, f"must have {expected} entries, got {len(values)}")


def _check_order(where: str, lower: Sequence[float], upper: Sequence[float], separator: str = "_") -> None:
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if not low <= high:
            fail(
                f"{where}{separator}lower[{i}]",
                f"must not exceed {where}{separator}upper[{i}], got {low!r} > {high!r}",
            )
