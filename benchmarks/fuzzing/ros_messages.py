"""ROS messages as anybody may send them: joint commands, IMU samples, velocity commands, safety reports. Needs ROS.

An input is a JSON document of a message's fields. What no message can hold, the message itself refuses.
"""

import json
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Quaternion, Twist, Vector3
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Header

from benchmarks.fuzzing.mutations import change_json
from benchmarks.fuzzing.targets import Target, Violation
from contract.errors import LandbridgeError
from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot.constraint import Reaction
from deploy_robot.decision import Mode
from deploy_robot.ros import conversions, safety_report
from deploy_robot.ros.conversions import JointOrder, StampClock
from deploy_robot.ros.policy_inputs import COMMAND, CommandInput
from deploy_robot.ros.safety_report import SafetyReport

_FIELDS = ("position", "velocity", "effort")
_TIMEOUT = 0.5  # s
_STAMP_ERROR = 1_000  # ns, that a double in seconds may lose
_LATEST_STAMP = (2**31 - 1) * 10**9  # ns, that a stamp has room for; a message may say more in its nanoseconds


class NoMessage(LandbridgeError):
    """The fields are those of no message."""


def ros_targets(robot: Robot, contract: Contract) -> tuple[Target, ...]:
    """A target for each kind of message that a node takes from others."""
    names, n = list(robot.joint_names), robot.num_joints
    numbers = np.linspace(-1.0, 1.0, n).tolist()
    joint_state = {"stamp": [5, 6], "name": names, "position": numbers, "velocity": numbers[::-1], "effort": [0.5] * n}
    imu = {"orientation": {"w": 1.0, "x": 0.0, "y": 0.1, "z": 0.2}, "angular_velocity": {"x": 1.0, "y": 2.0, "z": 3.0}}
    twist = {"linear": {"x": 0.5, "y": -0.25, "z": 0.0}, "angular": {"x": 0.0, "y": 0.0, "z": 0.75}}
    report = SafetyReport(Mode.HOLD, Reaction.HOLD, ("late",), 3, ("late",), 1)
    status = safety_report.to_message(report, robot.name, Time(sec=1)).status[0]
    safety = {"status": [{"name": status.name, "values": [[pair.key, pair.value] for pair in status.values]}]}
    parts: tuple[tuple[str, Any, Callable[[Any], None]], ...] = (
        ("joint states", joint_state, partial(_read_joint_state, JointOrder(robot.joint_names), robot.joint_names)),
        ("IMU", imu, _read_imu),
        ("velocity command", twist, partial(_read_twist, contract)),
        ("safety report", safety, _read_safety),
    )
    return tuple(
        Target(f"ROS message, {name}", json.dumps(seed).encode(), _change, partial(_read, read))
        for name, seed, read in parts
    )


def _change(random: Random, data: bytes) -> bytes:
    tree = json.loads(data)
    if "name" in tree and random.random() < 0.3:  # sound as often as not: another order
        order = random.sample(range(len(tree["name"])), len(tree["name"]))
        tree |= {field: [tree[field][i] for i in order] for field in ("name", *_FIELDS)}
        data = json.dumps(tree).encode()
    return data if random.random() < 0.1 else change_json(random, data)


def _read(read: Callable[[Any], None], data: bytes) -> None:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        raise NoMessage("no JSON") from None
    read(tree)


def _made(make: Callable[[], Any]) -> Any:
    """A message as it comes out of DDS; what its class refuses could not come in."""
    try:
        message = make()
        return deserialize_message(serialize_message(message), type(message))
    except (AssertionError, TypeError, ValueError, KeyError, AttributeError, OverflowError, UnicodeError):
        raise NoMessage("no message has such fields") from None


def _numbers(values: Any) -> list[float]:
    return [float(value) if isinstance(value, int) else value for value in values]


def _read_joint_state(order: JointOrder, names: tuple[str, ...], tree: Any) -> None:
    def make() -> JointState:
        seconds, nanoseconds = tree["stamp"]
        header = Header(stamp=Time(sec=seconds, nanosec=nanoseconds, check_fields=True))
        arrays = {field: _numbers(tree[field]) for field in _FIELDS}
        return JointState(header=header, name=tree["name"], **arrays, check_fields=True)

    message = _made(make)
    for field in _FIELDS:
        values = order.read(message, field)
        sent = dict(zip(message.name, getattr(message, field), strict=True))
        if len(sent) != len(message.name) or set(sent) != set(names):
            raise Violation("accepted joints that are not the robot's")
        if not np.array_equal(values, [sent[name] for name in names], equal_nan=True):
            raise Violation("gave a number to another joint")
    clock, key = StampClock(0), conversions.stamp_key(message.header.stamp)
    if abs(key) < _LATEST_STAMP:
        again = conversions.stamp_key(clock.to_ros(clock.from_ros(message.header.stamp)))
        if abs(again - key) > _STAMP_ERROR:
            raise Violation("turned a stamp into another")


def _numbered(tree: Any) -> dict[str, float]:
    """The components of a vector or quaternion by name."""
    return dict(zip(tree, _numbers(tree.values()), strict=True))


def _read_imu(tree: Any) -> None:
    def make() -> Imu:
        turn, rate = _numbered(tree["orientation"]), _numbered(tree["angular_velocity"])
        orientation = Quaternion(**turn, check_fields=True)
        return Imu(orientation=orientation, angular_velocity=Vector3(**rate, check_fields=True))

    message = _made(make)
    q, rate = message.orientation, message.angular_velocity
    quat, gyro = conversions.imu_quat(message), conversions.gyro(message)
    if not np.array_equal(quat, [q.w, q.x, q.y, q.z], equal_nan=True):
        raise Violation("read another orientation")
    if not np.array_equal(gyro, [rate.x, rate.y, rate.z], equal_nan=True):
        raise Violation("read another angular velocity")


def _read_twist(contract: Contract, tree: Any) -> None:
    def make() -> Twist:
        linear, angular = (Vector3(**_numbered(tree[part]), check_fields=True) for part in ("linear", "angular"))
        return Twist(linear=linear, angular=angular)

    message = _made(make)
    command = CommandInput(contract, _TIMEOUT)
    command.offer(conversions.velocity_command(message), now=1.0)
    value, ranges = command.value(1.0), contract.command_ranges[COMMAND]
    if not (np.isfinite(value).all() and (value >= ranges.lower).all() and (value <= ranges.upper).all()):
        raise Violation(f"lets the policy see the command {value}")


def _pairs(values: Any) -> list[KeyValue]:
    return [KeyValue(key=key, value=value, check_fields=True) for key, value in values]


def _read_safety(tree: Any) -> None:
    def make() -> DiagnosticArray:
        return DiagnosticArray(
            status=[
                DiagnosticStatus(name=status["name"], values=_pairs(status["values"]), check_fields=True)
                for status in tree["status"]
            ]
        )

    message = _made(make)
    report = safety_report.from_message(message)
    again = safety_report.from_message(safety_report.to_message(report, "", Time()))
    if again != report:
        raise Violation("reads another report back")
