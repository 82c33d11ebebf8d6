"""The operator's side: requests to robot_node and policy_node, velocity commands, and what the supervisor
says.
"""

import time
from collections.abc import Callable
from typing import Any, Self

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from contract.errors import LandbridgeError
from deploy_robot.ros import conversions, diagnostics, qos, safety_report
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.ros.spin import guarded, make_executor
from deploy_robot.supervisor import Mode

_TURN = 0.02  # s, the longest that waiting takes to notice something
_REPEAT = 1.0  # s without an answer after which a request is taken for lost

_LEADS_TO = {
    "stand": (Mode.STANDING_UP, Mode.READY),
    "sit": (Mode.SITTING_DOWN, Mode.PASSIVE),
    "arm": (Mode.ACTIVE,),
    "pause": (Mode.READY,),
    "estop": (Mode.STOPPED,),
    "reset": (Mode.PASSIVE,),
}
_CHANGE_STATE, _GET_STATE = "policy_node/change_state", "policy_node/get_state"
_SERVICES = {f"robot_node/{name}": Trigger for name in _LEADS_TO} | {_CHANGE_STATE: ChangeState, _GET_STATE: GetState}


class Operator:
    """A ROS node of its own context. All waiting is bounded, and serves callbacks meanwhile.

    A request, or the answer to it, is lost where one of two nodes has discovered the other and not yet the other way
    round, as may be on a busy machine. Hence what is not answered is asked again.

    Args:
        domain: ROS domain id.
        namespace: of the robot's nodes.
        check: called again and again while waiting; raises to give up.
    """

    def __init__(self, domain: int, namespace: str = "", check: Callable[[], None] = lambda: None) -> None:
        self.safety: SafetyReport | None = None
        self.diagnostics: dict[str, dict[str, str]] = {}  # newest values by name, such as `robot_node: loop`
        self._prefix = f"{namespace.strip('/')}/".lstrip("/")
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
        self._node.create_subscription(
            DiagnosticArray, diagnostics.TOPIC, guarded(self._on_diagnostics, self._log_error), 10
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
        if not self._within(condition, timeout):
            raise LandbridgeError(f"{what} within {timeout:g} s")

    def send_command(self, vx: float, vy: float, yaw_rate: float) -> None:
        """Publish a velocity command: m/s, m/s, rad/s in the base frame."""
        stamp = self._node.get_clock().now().to_msg()
        self._command.publish(conversions.velocity_message(vx, vy, yaw_rate, stamp))

    def request(self, name: str, timeout: float = 10.0) -> tuple[bool, str]:
        """Ask robot_node to `stand`, `sit`, `arm`, `pause`, `estop` or `reset`: whether it will, and why."""
        response, repeated = self._call(f"robot_node/{name}", Trigger.Request(), timeout)
        if repeated and not response.success and self._within(lambda: self._mode() in _LEADS_TO[name], _REPEAT):
            return True, "accepted, as the mode shows: the answer was lost"
        return response.success, response.message

    def configure_policy(self, timeout: float = 30.0) -> bool:
        """Have policy_node load its bundle; whether it did."""
        return self._change_state(Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE, timeout)

    def activate_policy(self, timeout: float = 10.0) -> bool:
        """Have policy_node publish targets; whether it does."""
        return self._change_state(Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE, timeout)

    def _change_state(self, transition: int, goal: int, timeout: float) -> bool:
        """Not asked again blindly: a transition may take its time, and some nodes die of one that is illegal."""
        client = self._clients[_CHANGE_STATE]
        self.wait_for(client.service_is_ready, f"{_CHANGE_STATE} was not offered", timeout)
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0.0:
            future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
            if not self._within(future.done, min(remaining, _REPEAT)):
                # A node that is in a transition says nothing until it is over.
                state, _ = self._call(_GET_STATE, GetState.Request(), remaining)
                if not future.done() and state.current_state.id == goal:
                    return True
            if future.done():
                return bool(future.result().success)
        raise LandbridgeError(f"{_CHANGE_STATE} did not answer within {timeout:g} s")

    def _call(self, service: str, request: Any, timeout: float) -> tuple[Any, bool]:
        """The answer, and whether the request was made more than once."""
        client, futures = self._clients[service], []
        self.wait_for(client.service_is_ready, f"{service} was not offered", timeout)
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0.0:
            futures.append(client.call_async(request))
            if self._within(lambda: any(future.done() for future in futures), min(remaining, _REPEAT)):
                return next(future.result() for future in futures if future.done()), len(futures) > 1
        raise LandbridgeError(f"{service} did not answer within {timeout:g} s")

    def _within(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Serve callbacks until `condition()` or for `timeout` s; whether it came true."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._check()
            self._executor.spin_once(timeout_sec=_TURN)
        return True

    def _mode(self) -> Mode | None:
        return self.safety.mode if self.safety else None

    def _on_safety(self, message: DiagnosticArray) -> None:
        self.safety = safety_report.from_message(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(self._prefix):
                values = {pair.key: pair.value for pair in status.values}
                self.diagnostics[status.name.removeprefix(self._prefix)] = values

    def _log_error(self, error: Exception) -> None:
        self._node.get_logger().error(str(error), throttle_duration_sec=1.0)
