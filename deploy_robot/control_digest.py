"""What of a bundle the supervisor goes by, as one short text that targets can carry."""

import hashlib
from collections.abc import Mapping

from contract.policy_contract import Contract

_FIELDS = (
    "robot", "control_period", "joint_names", "kp", "kd", "default_joint_pos", "joint_lower", "joint_upper",
    "velocity_limit", "effort_limit", "action_lower", "action_upper", "monitors",
)  # fmt: skip


def control_digest(contract: Contract) -> str:
    """Sixteen hex digits, the same for two bundles with the same gains, poses, limits, thresholds and period.

    Of two such bundles one may take the other's place while robot_node runs.
    """
    values = []
    for name in _FIELDS:
        value = getattr(contract, name)
        values.append((name, sorted(value.items()) if isinstance(value, Mapping) else value))
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]
