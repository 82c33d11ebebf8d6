"""Where a robot under ros2_control is: its topics, the controller that is commanded, and the ROS domain."""

import re
from dataclasses import dataclass, fields
from typing import Any

from contract.errors import UsageError
from contract.lookup import unknown

POSITION, EFFORT, TRAJECTORY = "position", "effort", "trajectory"
_INTERFACES = (POSITION, EFFORT, TRAJECTORY)
_LAST_DOMAIN = 101  # beyond it the ports meet those that the system hands out
_NAME = re.compile(r"/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)  # of a node or topic


@dataclass(frozen=True)
class Address:
    """Written as comma-separated KEY=VALUE; each key may be left out.

    Attributes:
        controller: name of the controller that is commanded.
        interface: `position`, `effort` or `trajectory`; see `deploy_robot.ros.ros2_control_commands`.
        joint_states: topic of the joint_state_broadcaster.
        imu: topic of an imu_sensor_broadcaster.
        domain: ROS domain of the controller manager.
    """

    controller: str = "forward_command_controller"
    interface: str = POSITION
    joint_states: str = "/joint_states"
    imu: str = "/imu_sensor_broadcaster/imu"
    domain: int = 0


def parse_address(text: str) -> Address:
    """An address as above. UsageError names the part that is wrong."""
    keys = [field.name for field in fields(Address)]
    values: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in keys:
            raise unknown("key in the address of ros2_control,", key, keys)
        if not equals or not value:
            raise UsageError(f"address of ros2_control: {part!r} must be KEY=VALUE")
        values[key] = value
    for key, value in values.items():
        if key == "interface" and value not in _INTERFACES:
            raise unknown("interface of ros2_control", value, _INTERFACES)
        if key in ("controller", "joint_states", "imu") and not _NAME.fullmatch(value):
            raise UsageError(f"address of ros2_control: {key}={value} must be a ROS name, as in /left/legs")
    if domain := values.get("domain"):
        if not (domain.isascii() and domain.isdigit() and int(domain) <= _LAST_DOMAIN):
            raise UsageError(f"address of ros2_control: domain={domain} must be from 0 to {_LAST_DOMAIN}")
        values["domain"] = int(domain)
    return Address(**values)
