"""contract.json, and what must hold of any contract that is accepted."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.fuzzing.targets import Violation
from contract import policy_contract
from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.limits import limits_of
from deploy_robot.thresholds import thresholds_of


def read_contract(robot: Robot) -> Callable[[bytes], object]:
    """Reads a contract, and all that a robot takes from it."""

    def read(data: bytes) -> None:
        contract = policy_contract.from_json(data)
        check_sound(contract)
        if policy_contract.from_json(policy_contract.to_json(contract)) != contract:
            raise Violation("accepted what it cannot write")
        policy_contract.check_robot(contract, robot)
        for joint, *limits in zip(
            robot.joints,
            contract.joint_lower,
            contract.joint_upper,
            contract.velocity_limit,
            contract.effort_limit,
            strict=True,
        ):
            bounds = (joint.upper, joint.velocity_limit, joint.effort_limit)
            if limits[0] < joint.lower or any(a > b for a, b in zip(limits[1:], bounds, strict=True)):
                raise Violation(f"accepted looser limits for {joint.name}")
        thresholds_of(CONSTRAINTS, contract)
        limits_of(robot, contract)

    return read


def check_sound(contract: Contract) -> None:
    """Violation unless what a controller computes with is there, finite, and in order."""
    for where, value in _leaves(dataclasses.asdict(contract)):
        if isinstance(value, float) and not math.isfinite(value):
            raise Violation(f"accepted {value} in {where}")
        if isinstance(value, str) and not value.isprintable():
            raise Violation(f"accepted unprintable text in {where}")
    joints = len(contract.joint_names)
    per_joint = (
        contract.kp, contract.kd, contract.default_joint_pos, contract.joint_lower, contract.joint_upper,
        contract.velocity_limit, contract.effort_limit, contract.action_lower, contract.action_upper,
    )  # fmt: skip
    pairs = [
        *zip(contract.joint_lower, contract.action_lower, strict=True),
        *zip(contract.action_lower, contract.action_upper, strict=True),
        *zip(contract.action_upper, contract.joint_upper, strict=True),
        *(pair for r in contract.command_ranges.values() for pair in zip(r.lower, r.upper, strict=True)),
    ]
    facts = {
        "lengths": all(len(values) == joints for values in per_joint) and len(set(contract.joint_names)) == joints,
        "period": 0.0 < contract.control_period <= 1.0,
        "signs": all(
            value >= 0.0 for values in (contract.kp, contract.kd, contract.velocity_limit) for value in values
        ),
        "order": all(low <= high for low, high in pairs),
        "sizes": all(s.shape and math.prod(s.shape) > 0 for s in (*contract.graph_inputs, *contract.outputs)),
        "sensors": all(signal.measurable for signal in contract.inputs),
    }
    for name, holds in facts.items():
        if not holds:
            raise Violation(f"accepted a contract with wrong {name}")


def _leaves(tree: Any, where: str = "") -> list[tuple[str, Any]]:
    found, pending = [], [(where, tree)]
    while pending:
        path, node = pending.pop()
        if isinstance(node, Mapping):
            pending += [(f"{path}.{name}", item) for name, item in node.items()]
        elif isinstance(node, list | tuple):
            pending += [(path, item) for item in node]
        else:
            found.append((path, node))
    return found
