"""Publishes what a hand on a device asks for, at a fixed rate, and ends with the robot told to stand still."""

import time
from collections.abc import Callable

from contract.errors import LandbridgeError
from deploy_robot.ros.operator import Operator
from deploy_robot.teleop import STILL, Velocity
from deploy_robot.teleop_devices import Hand

RATE = 20.0  # Hz; policy_node takes a command that is older than its command_timeout for none
_LAST_COMMANDS = 3  # of zero on the way out; best effort may lose one
_ANSWER_TIME = 2.0  # s to wait for the answer to a request, in which no command is published


def drive(
    operator: Operator,
    hand: Hand,
    stopped: Callable[[], bool],
    show: Callable[[Velocity, str], None] = lambda velocity, answer: None,
) -> None:
    """Publish cmd_vel until the hand asks for the end, or `stopped()`.

    Whatever ends it, a device that is lost included, the last commands are zero.

    Args:
        show: told of each command, and of the answer to the newest request.

    Raises:
        LandbridgeError: the device is lost.
    """
    answer = ""
    try:
        while not stopped():
            velocity, wishes = hand.poll(time.monotonic())
            if wishes.requests:
                velocity = STILL
            operator.send_command(*velocity)
            for request in wishes.requests:
                answer = f"{request}: {_ask(operator, request)}"
            show(velocity, answer)
            if wishes.quit:
                return
            operator.spin(1.0 / RATE)
    finally:
        for _ in range(_LAST_COMMANDS):
            operator.send_command(*STILL)
            operator.spin(0.02)


def _ask(operator: Operator, request: str) -> str:
    try:
        return operator.request(request, _ANSWER_TIME)[1]
    except LandbridgeError as error:  # the hand goes on steering, and may ask again
        return str(error)
