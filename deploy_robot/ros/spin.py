"""A control loop on absolute deadlines that serves ROS callbacks in between."""

import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor

LATE_CALLBACKS = 16
"""Callbacks that a loop which is late serves before its next turn. Two nodes and an operator cause one or two of them
a period; with fewer than come in, requests would wait in a queue that only grows."""


def make_executor(context: rclpy.Context) -> Executor:
    """The events executor, at half the cost, where this ROS distribution has it."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


def run_paced(
    executor: Executor,
    period: Callable[[], float],
    tick: Callable[[float], None],
    stopped: Callable[[], bool],
) -> None:
    """Call `tick(now)` every `period()` s on the steady clock until `stopped()`, callbacks in between.

    A deadline that was missed by a period or more is skipped, not caught up: a late controller must not
    fire twice in a row. However late it is, callbacks that are ready get their turn, up to `LATE_CALLBACKS` a period.
    """
    deadline = time.monotonic()
    while not stopped():
        now = time.monotonic()
        tick(now)
        deadline += period()
        if deadline < now:
            deadline = now + period()
        if time.monotonic() >= deadline:
            for _ in range(LATE_CALLBACKS):
                executor.spin_once(timeout_sec=0.0)
        while (remaining := deadline - time.monotonic()) > 0.0 and not stopped():
            executor.spin_once(timeout_sec=remaining)


def guarded(callback: Callable[[Any], None], on_error: Callable[[Exception], None]) -> Callable[[Any], None]:
    """A subscription's `callback` whose exceptions go to `on_error`.

    An exception that leaves a callback ends rclpy's spinning, while the node goes on looking alive.
    """

    def run(message: Any) -> None:
        try:
            callback(message)
        except Exception as error:  # whatever it is, the robot must be stopped by somebody who still runs
            on_error(error)

    return run
