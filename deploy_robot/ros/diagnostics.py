"""What a node says about itself on /diagnostics: the timing of its loop, losses on its topics, its own figures."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node

from deploy_robot.ros.spin import guarded

TOPIC = "/diagnostics"
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
PERIOD = 0.5  # s

_MOST_TURNS = 4096  # that one report is about


class LoopTiming:
    """The periods of a loop since the last report."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._periods: list[float] = []

    def turn(self, now: float) -> None:
        """A turn of the loop that began at `now` s."""
        if self._last is not None and len(self._periods) < _MOST_TURNS:
            self._periods.append(now - self._last)
        self._last = now

    def pause(self) -> None:
        """The loop rests: the time until its next turn is no period."""
        self._last = None

    def take(self) -> dict[str, str]:
        """Median, 99th percentile and largest period, ms; starts over."""
        if not self._periods:
            return {}
        p50, p99, largest = (1e3 * np.percentile(self._periods, [50, 99, 100])).tolist()
        self._periods = []
        return {"period_p50_ms": f"{p50:.2f}", "period_p99_ms": f"{p99:.2f}", "period_max_ms": f"{largest:.2f}"}


class Losses:
    """Counts what the middleware reports about one topic: deadlines that passed, messages that were lost.

    Args:
        topic: for the report.
        on_error: takes exceptions out of the callbacks.
        counts: whether a deadline that passes now is one that was missed.
    """

    def __init__(
        self, topic: str, on_error: Callable[[Exception], None], counts: Callable[[], bool] = lambda: True
    ) -> None:
        self.topic = topic
        self.missed = 0
        self.lost = 0
        self._on_error = on_error
        self._counts = counts

    def subscription(self, deadline: bool = True) -> SubscriptionEventCallbacks:
        """For a subscription to the topic."""
        return SubscriptionEventCallbacks(
            deadline=guarded(self._on_missed, self._on_error) if deadline else None,
            message_lost=guarded(self._on_lost, self._on_error),
        )

    def publisher(self) -> PublisherEventCallbacks:
        """For a publisher of the topic."""
        return PublisherEventCallbacks(deadline=guarded(self._on_missed, self._on_error))

    def values(self) -> dict[str, str]:
        """Both figures, for a report."""
        return {f"{self.topic} missed deadlines": str(self.missed), f"{self.topic} lost messages": str(self.lost)}

    def _on_missed(self, event: Any) -> None:
        if self._counts():
            self.missed += event.total_count_change

    def _on_lost(self, event: Any) -> None:
        self.lost += event.total_count_change


def status(
    name: str, message: str, values: Mapping[str, str], hardware_id: str = "", level: bytes = OK
) -> DiagnosticStatus:
    """One status of a report."""
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, hardware_id=hardware_id, values=pairs)


class Diagnostics:
    """A node's end of /diagnostics. The names of its statuses begin with the node's full name."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(DiagnosticArray, TOPIC, 10)
        self._prefix = node.get_fully_qualified_name().lstrip("/")
        self._due = 0.0

    def due(self) -> bool:
        """Whether it is time for the next report."""
        return time.monotonic() >= self._due

    def publish(self, stamp: Time, *statuses: DiagnosticStatus) -> None:
        """Send a report."""
        self._due = time.monotonic() + PERIOD
        for item in statuses:
            item.name = f"{self._prefix}: {item.name}"
        message = DiagnosticArray(status=list(statuses))
        message.header.stamp = stamp
        self._publisher.publish(message)
