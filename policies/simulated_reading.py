"""What the supervisor's constraints would look at if each simulated robot were a real one.

The table of `deploy_robot` is judged as it is, on tensors with the environments as their first axis. What a simulation
has no equivalent of, such as lost samples, missed deadlines and an operator, is absent here, and so are the rows that
look at it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot import monitors
from deploy_robot.constraint import Constraint, Reading
from deploy_robot.limits import Limits, limits_of

_FIELDS = frozenset(field.name for field in dataclasses.fields(Reading))
# What a reading keeps for itself.
_PRIVATE = {field.name: field.default for field in dataclasses.fields(Reading) if field.name.startswith("_")}


class NotSimulated(AttributeError):
    """A constraint looks at something that only a real robot has; `name` says what."""


class SimulatedReading(Reading):
    """A reading in which only the given fields are there.

    Raises:
        NotSimulated: a constraint asks for another one.
    """

    def __init__(self, **fields: Any) -> None:
        for name, value in {**_PRIVATE, **fields}.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise NotSimulated(f"no simulation gives {name}", name=name)


def reading_of(
    limits: Limits, signals: Mapping[str, Tensor], joint_torque: Tensor, target: Tensor, previous: Tensor
) -> SimulatedReading:
    """All robots in one reading; N robots, J joints.

    Args:
        limits: what `limits_on` gave.
        signals: what the sensors report, (N, ...) each; those that a reading has a field for are taken.
        joint_torque: (N, J) N m, what the drives give.
        target, previous: (N, J) rad, the joint target in force and the one before.
    """
    return SimulatedReading(
        **{name: values for name, values in signals.items() if name in _FIELDS},
        limits=limits,
        joint_torque=joint_torque,
        state_faults=sum(monitors.not_finite(values.flatten(1)) for values in signals.values()),
        target=target,
        previous_target=previous,
        target_interval=limits.control_period,
        target_faults=monitors.not_finite(target),
    )


def limits_on(device: torch.device, robot: Robot, period: float, contract: Contract | None = None) -> Limits:
    """The robot's limits, or the bundle's where a contract is given, as tensors; `period` is the control period in s.

    A joint without a motor has no torque, so it has no torque limit either.

    Raises:
        BundleError: as `limits_of`.
    """
    limits = limits_of(robot, contract)
    driven = np.isin(np.arange(robot.num_joints), robot.actuated)
    limits = dataclasses.replace(
        limits, control_period=period, joint_effort=np.where(driven, limits.joint_effort, np.inf)
    )
    on_device: Limits = _tensors(limits, device)
    return on_device


def _tensors(value: Any, device: torch.device) -> Any:
    """`value` with every array in it as a tensor: floats in float32, as a simulation computes."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.as_tensor(value, dtype=torch.float32 if value.dtype.kind == "f" else None, device=device)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _tensors(getattr(value, f.name), device) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(_tensors(item, device) for item in value)
    if isinstance(value, Mapping):
        return {name: _tensors(item, device) for name, item in value.items()}
    return value


def split_table(
    table: tuple[Constraint, ...], reading: SimulatedReading
) -> tuple[tuple[Constraint, ...], dict[str, str]]:
    """The rows that can be judged on such a reading, and of each other one what it would need."""
    judged, absent = [], {}
    for row in table:
        try:
            if row.judged(reading):
                row.worst(reading)
                judged.append(row)
            else:
                absent[row.name] = row.needs
        except NotSimulated as missing:
            absent[row.name] = str(missing.name)
    return tuple(judged), absent
