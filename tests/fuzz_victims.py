"""Readers with the faults that a fuzzer is for."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.fuzzing.targets import Target, Violation
from contract.errors import BundleError


def victims(scratch: Path) -> tuple[Target, ...]:
    """One of each, named after its fault. An input is the bytes 0 to 9; from 5 on the fault shows."""

    def target(name: str, fault: Callable[[bytes], object]) -> Target:
        def read(data: bytes) -> None:
            if data[0] >= 5:
                fault(data)
            elif data[0] > 2:
                raise BundleError("refused: too large")

        return Target(name, b"\0", lambda random, data: bytes([random.randrange(10)]), read)

    return (
        target("sound", lambda data: None),
        target("raises", lambda data: data[9]),
        target("accepts", _accept_broken),
        target("mumbles", _mumble),
        target("dies", lambda data: os.kill(os.getpid(), signal.SIGKILL)),
        target("hangs", lambda data: time.sleep(1000)),
    )


def unusable(scratch: Path) -> tuple[Target, ...]:
    """A target that cannot be made."""
    raise BundleError("no seed")


def _accept_broken(data: bytes) -> None:
    raise Violation("accepted a five")


def _mumble(data: bytes) -> None:
    raise BundleError("line\nbreak")


def first_fault(name: str, seed: int) -> int:
    """Number of the first input that shows the fault of a victim."""
    return next(i for i in range(1000) if Random(f"{seed}:{name}:{i}").randrange(10) >= 5)
