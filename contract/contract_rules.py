"""What must hold between the fields of a contract, and between a contract and a robot."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from contract.codec import fail, show
from contract.robot import Robot
from contract.signals import Signal

if TYPE_CHECKING:
    from contract.policy_contract import Contract

TARGET = "joint_target"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# Bounds that no robot comes near: they keep what reads a contract from drowning in a damaged or hostile one.
_MAX_JOINTS = 200
_MAX_NAME = 100  # characters
_MAX_SIGNALS = 200
_MAX_AXES = 8
_MAX_SIGNAL_SIZE = 1_000_000
_PERIODS = (1e-4, 1.0)  # s
_MAX_DELAY = 10.0  # s
_MAX_GAIN = 1e6  # N m/rad, N m s/rad
_MAX_FIGURE = 3e38  # of anything that the graph will take as float32


def check(contract: "Contract") -> None:
    """FieldError naming the first field that contradicts another."""
    for name in ("robot", "task"):
        if not getattr(contract, name):
            fail(name, "must not be empty")
    if not _PERIODS[0] <= contract.control_period <= _PERIODS[1]:
        fail("control_period", f"must be from {_PERIODS[0]:g} to {_PERIODS[1]:g} s, got {contract.control_period!r}")
    _check_joints(contract)
    _check_signals(contract)
    _check_target(contract)
    _check_commands(contract)
    for name in ("sensor_delay", "action_delay"):
        delay = getattr(contract, name)
        if not 0 <= delay.min <= delay.max <= _MAX_DELAY:
            fail(name, f"must satisfy 0 <= min <= max <= {_MAX_DELAY:g} s, got {delay.min!r} and {delay.max!r}")
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
        if len(signals) > _MAX_SIGNALS:
            fail(group, f"must have at most {_MAX_SIGNALS} entries, got {len(signals)}")
        for i, signal in enumerate(signals):
            where = f"{group}[{i}]"
            if not _NAME.fullmatch(signal.name):
                fail(f"{where}.name", f"must be letters, digits and underscores, got {show(signal.name)}")
            for name in (signal.name, f"next_{signal.name}") if group == "memory" else (signal.name,):
                if name in names:
                    fail(f"{where}.name", f"{name!r} is already {names[name]}")
                names[name] = where
            if not 1 <= len(signal.shape) <= _MAX_AXES:
                fail(f"{where}.shape", f"must have 1 to {_MAX_AXES} axes, got {len(signal.shape)}")
            if any(size < 1 for size in signal.shape):
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
    permitted, seen = set(known), set()
    for i, name in enumerate(names):
        if name in seen:
            fail(f"{where}[{i}]", f"duplicate joint {show(name)}")
        if name not in permitted:
            fail(f"{where}[{i}]", f"unknown joint {show(name)}")
        seen.add(name)


def _check_joints(contract: "Contract") -> None:
    if not 1 <= len(contract.joint_names) <= _MAX_JOINTS:
        fail("joint_names", f"must have 1 to {_MAX_JOINTS} entries, got {len(contract.joint_names)}")
    for j, name in enumerate(contract.joint_names):
        if not 1 <= len(name) <= _MAX_NAME:
            fail(f"joint_names[{j}]", f"must have 1 to {_MAX_NAME} characters, got {show(name)}")
    _check_names("joint_names", contract.joint_names, contract.joint_names)
    for name in (
        "kp",
        "kd",
        "default_joint_pos",
        "joint_lower",
        "joint_upper",
        "velocity_limit",
        "effort_limit",
        "action_lower",
        "action_upper",
    ):
        _check_vector(name, getattr(contract, name), len(contract.joint_names))
    _check_order("joint", contract.joint_lower, contract.joint_upper)
    _check_order("action", contract.action_lower, contract.action_upper)
    for j, joint in enumerate(contract.joint_names):
        for name in ("kp", "kd"):
            if not 0 <= getattr(contract, name)[j] <= _MAX_GAIN:
                fail(f"{name}[{j}]", f"{joint}: must be from 0 to {_MAX_GAIN:g}, got {getattr(contract, name)[j]!r}")
        # A joint without a motor has no torque and no gains.
        passive = contract.effort_limit[j] == contract.kp[j] == contract.kd[j] == 0
        for name in ("velocity_limit",) if passive else ("velocity_limit", "effort_limit"):
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
        _check_length(f"{where}.elements", command.elements, size)
        for field in ("lower", "upper"):
            _check_vector(f"{where}.{field}", getattr(command, field), size)
        _check_order(where, command.lower, command.upper, separator=".")


def _check_envelope(contract: "Contract") -> None:
    inputs = {signal.name: signal for signal in contract.inputs}
    for name, statistics in contract.training_envelope.items():
        where = f"training_envelope.{name}"
        if name not in inputs:
            fail(where, "no input has this name")
        size = math.prod(inputs[name].shape)
        for field in ("mean", "std", "min", "max", "low", "high"):
            _check_vector(f"{where}.{field}", getattr(statistics, field), size)
        for i in range(size):
            if not statistics.std[i] >= 0:
                fail(f"{where}.std[{i}]", f"must not be negative, got {statistics.std[i]!r}")
            if not statistics.min[i] <= statistics.low[i] <= statistics.high[i] <= statistics.max[i]:
                fail(f"{where}.low[{i}]", "must satisfy min <= low <= high <= max")


def _check_provenance(contract: "Contract") -> None:
    try:
        created = datetime.fromisoformat(contract.provenance.created)
    except ValueError:
        fail("provenance.created", f"must be an ISO 8601 time, got {show(contract.provenance.created)}")
    if created.tzinfo is None:
        fail("provenance.created", f"must carry a time zone, got {show(contract.provenance.created)}")


def _check_length(where: str, values: Sequence[object], expected: int) -> None:
    if len(values) != expected:
        fail(where, f"must have {expected} entries, got {len(values)}")


def _check_vector(where: str, values: Sequence[float], expected: int) -> None:
    _check_length(where, values, expected)
    for i, value in enumerate(values):
        if not abs(value) <= _MAX_FIGURE:
            fail(f"{where}[{i}]", f"must be within +-{_MAX_FIGURE:g}, got {value!r}")


def _check_order(where: str, lower: Sequence[float], upper: Sequence[float], separator: str = "_") -> None:
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        if not low <= high:
            fail(
                f"{where}{separator}lower[{i}]",
                f"must not exceed {where}{separator}upper[{i}], got {low!r} > {high!r}",
            )
