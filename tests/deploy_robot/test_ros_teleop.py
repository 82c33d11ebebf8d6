"""Driving by hand over ROS: commands at a fixed rate, and zero whatever ends it."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import Trigger

from contract.errors import LandbridgeError
from deploy_robot.ros import teleop
from deploy_robot.ros.operator import Operator
from deploy_robot.ros.spin import make_executor
from deploy_robot.ros.teleop import drive
from deploy_robot.ros_environment import applied, claimed_domain, environment
from deploy_robot.teleop import STILL, Velocity, Wishes
from landbridge.cli import main

PATIENCE = 60.0  # s


class Listener:
    """What robot_node and policy_node would hear."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        node = Node("listener", context=self.context)
        self.heard: list[tuple[float, float, float]] = []
        self.stops = 0
        node.create_subscription(TwistStamped, "cmd_vel", self._on_command, 50)
        node.create_service(Trigger, "robot_node/estop", self._on_stop)
        self._executor = make_executor(self.context)
        self._executor.add_node(node)

    def _on_command(self, message: TwistStamped) -> None:
        twist = message.twist
        assert message.header.stamp.sec > 0
        self.heard.append((twist.linear.x, twist.linear.y, twist.angular.z))

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.stops += 1
        response.success, response.message = True, "stopping"
        return response

    def spin(self) -> None:
        self._executor.spin_once(timeout_sec=0.005)


class ScriptedHand:
    """Holds one velocity until the script is over."""

    def __init__(self, turns: int, listener: Listener, last: Wishes | Exception) -> None:
        self._turns = turns
        self._listener = listener
        self._last = last

    def poll(self, now: float) -> tuple[Velocity, Wishes]:
        for _ in range(5):
            self._listener.spin()
        if (0.4, 0.0, 0.1) in self._listener.heard:  # discovered
            self._turns -= 1
        if self._turns > 0:
            return (0.4, 0.0, 0.1), Wishes()
        if isinstance(self._last, Exception):
            raise self._last
        return (0.4, 0.0, 0.1), self._last


@pytest.fixture
def domain(tmp_path: Path) -> Iterator[int]:
    with claimed_domain() as domain, applied(environment(domain, tmp_path)):
        yield domain


@pytest.fixture
def listener(domain: int) -> Iterator[Listener]:
    listener = Listener(domain)
    yield listener
    listener.context.try_shutdown()


@pytest.mark.parametrize("last", [Wishes(quit=True), LandbridgeError("js0: lost")])
def test_the_last_commands_are_zero_whatever_ends_it(domain: int, listener: Listener, last: Wishes | Exception) -> None:
    hand = ScriptedHand(3, listener, last)
    with Operator(domain) as operator:
        if isinstance(last, Exception):
            with pytest.raises(LandbridgeError, match="js0: lost"):
                drive(operator, hand, lambda: False)
        else:
            drive(operator, hand, lambda: False)
        deadline = time.monotonic() + PATIENCE
        while listener.heard[-1] != STILL:
            assert time.monotonic() < deadline
            listener.spin()
    assert (0.4, 0.0, 0.1) in listener.heard


def test_a_request_that_nobody_answers_does_not_end_the_driving(
    domain: int, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AskingHand:
        def __init__(self) -> None:
            self._wishes = [Wishes(quit=True), Wishes(("stand",))]

        def poll(self, now: float) -> tuple[Velocity, Wishes]:
            return STILL, self._wishes.pop()

    monkeypatch.setattr(teleop, "_ANSWER_TIME", 0.1)
    answers: list[str] = []
    with Operator(domain) as operator:
        drive(operator, AskingHand(), lambda: False, lambda velocity, answer: answers.append(answer))
    assert answers == ["stand: robot_node/stand was not offered within 0.1 s"] * 2


def test_keys_in_a_terminal_become_commands_and_a_stop(domain: int, listener: Listener) -> None:
    master, terminal = pty.openpty()
    argv = [sys.executable, "-m", "landbridge", "teleop", "--domain", str(domain), "--top", "0.2,0.1,0.3"]
    process = subprocess.Popen(argv, stdin=terminal, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        until(listener, lambda: STILL in listener.heard)
        until(listener, lambda: (0.2, 0.0, 0.0) in listener.heard, lambda: os.write(master, b"w"))
        listener.heard.clear()
        until(listener, lambda: STILL in listener.heard)  # nobody holds the key any more
        os.write(master, b" ")
        until(listener, lambda: listener.stops == 1)
        os.write(master, b"x")
        until(listener, lambda: process.poll() is not None)
        assert process.returncode == 0
        assert listener.heard[-1] == STILL
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(terminal)


def until(listener: Listener, condition: object, turn: object = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        turn()  # type: ignore[operator]
        listener.spin()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--domain", "102"], 2, "--domain 102: must be from 0 to 101"),
        (["--domain", "7", "--top", "1,2"], 2, "--top '1,2': must be three numbers"),
        (["--domain", "7", "--top", "1,2,nan"], 2, "must be three numbers from 0 to 10"),
        (["--domain", "7", "--dead-man", "1"], 2, "--dead-man 1: is the button of --stop"),
        (["--domain", "7", "--gamepad", "/no/js0"], 1, "/no/js0: cannot be opened"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["teleop", *arguments]) == code
    printed = capsys.readouterr().err
    assert sentence in printed
    assert len(printed.splitlines()) == 1
