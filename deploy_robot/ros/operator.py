"""The operator's side: requests to robot_node and policy_node, velocity commands, and what the supervisor
says.
"""

import time
from collections.abc import Callable
from typing import Any, Self

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from contract.errors import LandbridgeError
from deploy_robot.ros import conversions, qos, safety_report
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.ros.spin import guarded, make_executor

_TURN = 0.02  # s, the longest that waiting takes to notice something

_REQUESTS = ("stand", "sit", "arm", "pause", "estop", "reset")
_CHANGE_STATE = "policy_node/change_state"
_SERVICES = {f"robot_node/{name}": Trigger for name in _REQUESTS} | {_CHANGE_STATE: ChangeState}


class Operator:
    """A ROS node of its own context. All waiting is bounded, and serves callbacks meanwhile.

    Args:
        domain: ROS domain id.
        namespace: of the robot's nodes.
        check: called again and again while waiting; raises to give up.
    """

    def __init__(self, domain: int, namespace: str = "", check: Callable[[], None] = lambda: None) -> None:
        self.safety: SafetyReport | None = None
        self._check = check
        self._context = rclpy.Context()
        rclpy.init(
            args=["--ros-args", "--disable-external-lib-logs"],
            context=self._context,
            domain_id=domain,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self._node = Node("operator", context=self._context, namespace=namespace)
        self._executor = make_executor(self._context)
        self._executor.add_node(self._node)
        # Kept from the start: a service may lose its answer to a client that it has not discovered yet.
        self._clients = {name: self._node.create_client(type_, name) for name, type_ in _SERVICES.items()}
        self._command = self._node.create_publisher(TwistStamped, "cmd_vel", qos.STREAM_PUBLISHER)
        self._node.create_subscription(
            DiagnosticArray, "robot_node/safety", guarded(self._on_safety, self._log_error), qos.STATUS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the ROS graph."""
        self._node.destroy_node()
        self._context.try_shutdown()

    def spin(self, seconds: float) -> None:
        """Serve callbacks for `seconds`; raises what `check` raises."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0.0:
            self._check()
            self._executor.spin_once(timeout_sec=min(remaining, _TURN))

    def wait_for(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        """Serve callbacks until `condition()`; LandbridgeError that begins with `what` after `timeout` s."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise LandbridgeError(f"{what} within {timeout:g} s")
            self._check()
            self._executor.spin_once(timeout_sec=_TURN)

    def send_command(self, vx: float, vy: float, yaw_rate: float) -> None:
        """Publish a velocity command: m/s, m/s, rad/s in the base frame."""
        stamp = self._node.get_clock().now().to_msg()
        self._command.publish(conversions.velocity_message(vx, vy, yaw_rate, stamp))

    def request(self, name: str, timeout: float = 10.0) -> tuple[bool, str]:
        """Ask robot_node to `stand`, `sit`, `arm`, `pause`, `estop` or `reset`: whether it will, and why."""
        response = self._call(f"robot_node/{name}", Trigger.Request(), timeout)
        return response.success, response.message

    def configure_policy(self, timeout: float = 30.0) -> bool:
        """Have policy_node load its bundle; whether it did."""
        return self._change_state(Transition.TRANSITION_CONFIGURE, timeout)

    def activate_policy(self, timeout: float = 10.0) -> bool:
        """Have policy_node publish targets; whether it does."""
        return self._change_state(Transition.TRANSITION_ACTIVATE, timeout)

    def _change_state(self, transition: int, timeout: float) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self._call(_CHANGE_STATE, request, timeout).success)

    def _call(self, service: str, request: Any, timeout: float) -> Any:
        client = self._clients[service]
        self.wait_for(client.service_is_ready, f"{service} was not offered", timeout)
        future = client.call_async(request)
        self.wait_for(future.done, f"{service} did not answer", timeout)
        return future.result()

    def _on_safety(self, message: DiagnosticArray) -> None:
        self.safety = safety_report.from_message(message)

    def _log_error(self, error: Exception) -> None:
        self._node.get_logger().error(str(error), throttle_duration_sec=1.0)
