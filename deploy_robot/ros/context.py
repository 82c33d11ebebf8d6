"""How a node's process joins ROS and leaves it."""

import contextlib
import sys
from collections.abc import Iterator

import rclpy
from rclpy.signals import SignalHandlerOptions

from contract.errors import UsageError


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """ROS inside the `with` block, with the arguments of this process.

    rclpy's own signal handlers stay out: they would end the context before a last damping command is on its way.

    Raises:
        UsageError: ROS does not understand the arguments, or the middleware cannot be loaded.
    """
    try:
        rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy's exceptions share no narrower base
        reason = str(error).partition(", at ")[0].splitlines()
        raise UsageError(f"ROS cannot start: {reason[0] if reason else type(error).__name__}") from None
    try:
        yield
    finally:
        rclpy.try_shutdown()
