"""A paced loop gives callbacks their turn, however late it is, and no flood of them stops it."""

import time
from collections import deque

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from deploy_robot.ros.spin import LATE_CALLBACKS, guarded, run_paced

TURNS = 20


class Queue:
    """Stands for the events executor: first come, first served, one callback a spin."""

    def __init__(self) -> None:
        self.waiting: deque[int] = deque()
        self.served: list[int] = []

    def spin_once(self, timeout_sec: float) -> None:
        if self.waiting:
            self.served.append(self.waiting.popleft())
        elif timeout_sec > 0.0:
            time.sleep(timeout_sec)


def run(turn_time: float, arrivals: int) -> tuple[Queue, list[int]]:
    """`TURNS` turns of `turn_time` s with a period of 1 ms, before each of which `arrivals` callbacks come in."""
    queue, lengths = Queue(), []

    def tick(now: float) -> None:
        lengths.append(len(queue.waiting))
        queue.waiting.extend([len(lengths)] * arrivals)
        time.sleep(turn_time)

    run_paced(queue, lambda: 0.001, tick, lambda: len(lengths) >= TURNS)
    return queue, lengths


@pytest.mark.parametrize("turn_time", [0.0, 0.003])
def test_a_late_loop_leaves_no_callback_waiting(turn_time: float) -> None:
    queue, lengths = run(turn_time, arrivals=LATE_CALLBACKS)
    assert max(lengths) <= LATE_CALLBACKS  # what came in since the turn before
    assert queue.served == sorted(queue.served)
    if turn_time:
        assert max(lengths) == 0


def test_a_flood_holds_no_turn_back_for_ever() -> None:
    queue, lengths = run(0.003, arrivals=10 * LATE_CALLBACKS)
    assert len(lengths) == TURNS
    assert len(queue.served) <= LATE_CALLBACKS * TURNS


def test_an_exception_in_a_callback_goes_where_it_is_told() -> None:
    errors: list[Exception] = []
    guarded(lambda message: 1 / message, errors.append)(0)
    assert isinstance(errors[0], ZeroDivisionError)
