"""What a control process asks of the system, so that a busy machine does not hold it up."""

import ctypes
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from contract.errors import UsageError
from deploy_robot.process import ask_for_real_time, freeze_garbage

_MCL_CURRENT, _MCL_FUTURE = 1, 2


@dataclass(frozen=True)
class RealTime:
    """What to ask for; nothing of it is needed to run.

    Attributes:
        priority: under SCHED_FIFO, 1 to 99; 0 for normal scheduling.
        cpus: processors to stay on, such as `2,3` or `2-3`; empty for all.
        lock_memory: keep every page in memory, so that the loop never waits for one.
        freeze_garbage: spare what start-up left behind from garbage collection.
    """

    priority: int = 0
    cpus: str = ""
    lock_memory: bool = False
    freeze_garbage: bool = True

    def ask(self) -> tuple[str, ...]:
        """Ask the system, once this process has all its threads; what it refused, a sentence each.

        Raises:
            UsageError: `cpus` is no list of processors that this process may use.
        """
        refused = []
        if self.cpus:
            stay_on(parse_cpus(self.cpus))
        if self.lock_memory and not lock_memory():
            refused.append("memory is not locked: the system refuses (see `landbridge doctor`)")
        if self.freeze_garbage:
            freeze_garbage()
        if self.priority and not ask_for_real_time(self.priority):
            refused.append("normal scheduling: a busy machine may delay the control loop (see `landbridge doctor`)")
        return tuple(refused)


@dataclass(frozen=True)
class Scheduling:
    """What both nodes of a session ask for.

    Attributes:
        priority: of robot_node; policy_node, which must not hold it up, gets ten less. None for their own defaults.
        cpus, lock_memory, freeze_garbage: as in `RealTime`.
    """

    priority: int | None = None
    cpus: str = ""
    lock_memory: bool = False
    freeze_garbage: bool = True

    def check(self) -> None:
        """UsageError where one of them makes no sense here."""
        if self.priority is not None and not 0 <= self.priority <= 99:
            raise UsageError(f"--priority {self.priority}: must be from 1 to 99, or 0 for normal scheduling")
        if self.cpus:
            parse_cpus(self.cpus)

    def parameters(self, node: str) -> dict[str, str | int | bool]:
        """ROS parameters of `robot_node` or `policy_node`."""
        found: dict[str, str | int | bool] = {
            "cpus": self.cpus,
            "lock_memory": self.lock_memory,
            "freeze_garbage": self.freeze_garbage,
        }
        if self.priority is not None:
            less = 10 if node == "policy_node" else 0
            found["priority"] = max(self.priority - less, min(self.priority, 1))
        return found


def parse_cpus(text: str) -> frozenset[int]:
    """The processors in a list such as `2,4-6`, as the kernel writes them.

    Raises:
        UsageError: it is no such list, or this process may not use one of them.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = (first, last if dash else first)
        if not all(number.isascii() and number.isdigit() and len(number) < 6 for number in numbers):
            raise UsageError(f"cpus {text!r}: must be numbers of processors such as 2,3 or 2-3")
        found |= set(range(int(numbers[0]), int(numbers[1]) + 1))
    usable = _usable()
    if not found or not found <= usable:
        listed = ",".join(map(str, sorted(usable)))
        raise UsageError(f"cpus {text!r}: this process may use {listed}")
    return frozenset(found)


def stay_on(cpus: frozenset[int]) -> None:
    """Keep all threads of this process on `cpus`."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cpus)


def lock_memory() -> bool:
    """Keep this process's pages in memory; whether the system permits it.

    Under a limit (RLIMIT_MEMLOCK) only what is there now is locked: to lock what comes later would have every
    allocation beyond the limit fail.
    """
    if sys.platform != "linux":
        return False
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    flags = _MCL_CURRENT | (_MCL_FUTURE if unlimited else 0)
    return bool(ctypes.CDLL(None, use_errno=True).mlockall(flags) == 0)


def _usable() -> set[int]:
    return os.sched_getaffinity(0) if sys.platform == "linux" else set()
