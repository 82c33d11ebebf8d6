"""The operator's requests get through although the first of them, or its answer, is lost."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_srvs.srv import Trigger

from contract.errors import LandbridgeError
from deploy_robot.ros import operator as operator_module
from deploy_robot.ros import qos, safety_report
from deploy_robot.ros.operator import Operator
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.ros_environment import applied, claimed_domain, environment
from deploy_robot.supervisor import Mode, Reaction

PATIENCE = 60.0  # s


class Policy(LifecycleNode):
    """Counts its configurations, and refuses when it is told to."""

    def __init__(self, **options: Any) -> None:
        super().__init__("policy_node", **options)
        self.configured = 0
        self.refuses = False

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.configured += 1
        return TransitionCallbackReturn.FAILURE if self.refuses else TransitionCallbackReturn.SUCCESS


class Robot:
    """Stands up once, and says so on `~/safety`; beside it a policy node. Both spin in a thread."""

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("robot_node", context=self._context)
        self._safety = self._node.create_publisher(DiagnosticArray, "~/safety", qos.STATUS)
        self._node.create_service(Trigger, "~/stand", self._stand)
        self.policy = Policy(context=self._context)
        self.mode = Mode.PASSIVE
        self._executor = SingleThreadedExecutor(context=self._context)
        for node in (self._node, self.policy):
            self._executor.add_node(node)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        while not self._ended.is_set():
            self._executor.spin_once(timeout_sec=0.02)

    def _stand(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.mode is Mode.PASSIVE
        self.mode = Mode.STANDING_UP
        report = SafetyReport(self.mode, Reaction.NONE)
        self._safety.publish(safety_report.to_message(report, "a robot", self._node.get_clock().now().to_msg()))
        return response

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._context.try_shutdown()


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[int]:
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        yield domain


@pytest.fixture
def robot(domain: int) -> Iterator[Robot]:
    robot = Robot(domain)
    yield robot
    robot.end()


@pytest.fixture(params=["request", "answer"])
def operator(
    domain: int, robot: Robot, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    """Of the first request to every service that changes something, this or the answer to it is lost."""
    monkeypatch.setattr(operator_module, "_REPEAT", 0.2)
    with Operator(domain) as operator:
        for name in ("robot_node/stand", "policy_node/change_state"):
            client = operator._clients[name]
            operator.wait_for(client.service_is_ready, name, PATIENCE)
            lose_the_first(client, request.param, monkeypatch)
        yield operator


def lose_the_first(client: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, calls = client.call_async, []

    def call_async(message: Any) -> Future:
        calls.append(message)
        if len(calls) > 1:
            return call(message)
        if what == "answer":
            call(message)
        return Future()

    monkeypatch.setattr(client, "call_async", call_async)


def test_a_robot_is_asked_again_and_does_it_once(operator: Operator, robot: Robot) -> None:
    accepted, why = operator.request("stand", PATIENCE)
    assert accepted, why
    assert robot.mode is Mode.STANDING_UP
    assert not operator.request("stand", PATIENCE)[0], "an answer that is not lost is taken as it is"


def test_a_transition_is_made_once(operator: Operator, robot: Robot) -> None:
    assert operator.configure_policy(PATIENCE)
    assert robot.policy.configured == 1
    assert robot.policy._state_machine.current_state[0] == State.PRIMARY_STATE_INACTIVE
    assert operator.activate_policy(PATIENCE)


def test_a_refusal_is_heard(operator: Operator, robot: Robot) -> None:
    robot.policy.refuses = True
    assert not operator.configure_policy(PATIENCE)


def test_what_never_answers_is_one_sentence(domain: int, robot: Robot) -> None:
    with (
        Operator(domain) as operator,
        pytest.raises(LandbridgeError, match="robot_node/arm was not offered within 0.1"),
    ):
        operator.request("arm", 0.1)
