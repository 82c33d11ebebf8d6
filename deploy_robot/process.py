"""What every long-running process here does: stop on a signal, end with its parent, fail in one sentence."""

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

from contract.errors import LandbridgeError

PARENT_VARIABLE = "LANDBRIDGE_PARENT"
ERROR_PREFIX = "error: "

_PR_SET_PDEATHSIG = 1


class StopSignal:
    """Inside its `with` block SIGINT and SIGTERM only set a flag, so that a loop ends where it chooses to."""

    def __init__(self) -> None:
        self.received = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True


def follow_parent() -> None:
    """Have the system send SIGTERM when the parent that is named in the environment ends, however it ends.

    Does nothing where no parent is named, or where the system is not Linux.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before the line above
        sys.exit(1)


def ask_for_real_time(priority: int) -> bool:
    """Put all threads of this process under SCHED_FIFO, so that a busy machine does not hold them up.

    Args:
        priority: 1 to 99; 0 asks for nothing.

    Returns:
        Whether it was asked for and the system permits it: root, or a `rtprio` limit in /etc/security/limits.conf.
    """
    if priority == 0 or sys.platform != "linux":
        return False
    try:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True


def freeze_garbage() -> None:
    """Spare what start-up left behind from garbage collection, which would stop the loop for tens of ms."""
    gc.collect()
    gc.freeze()


def run_process(body: Callable[[StopSignal], None]) -> int:
    """Run a process's `body` and give its exit code; a LandbridgeError becomes one line on stderr."""
    follow_parent()
    try:
        with StopSignal() as stop:
            body(stop)
    except LandbridgeError as error:
        print(f"{ERROR_PREFIX}{error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0
