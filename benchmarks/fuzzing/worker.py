"""Feeds one target with changed inputs, in a process that may crash or hang without taking the count with it.

Input number i of a target is the same in every run of a seed, so that what was found can be made again.
"""

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing.targets import Target

Factory = Callable[[Path], tuple[Target, ...]]
"""Makes the targets, given an empty folder; a function that another process can import."""

_MAX_MEMORY = 8 * 2**30  # bytes; an input that asks for more fails, instead of bringing the machine down
_MAX_FINDINGS = 10  # of one target
_SETUP = 120.0  # s for a process to import what it needs


@dataclass
class Outcome:
    """What a target did.

    Attributes:
        tried: inputs.
        accepted: of these, as sound.
        findings: crashes, hangs and violations, each with the number of its input.
    """

    tried: int = 0
    accepted: int = 0
    findings: list[str] = field(default_factory=list)


def make_input(target: Target, seed: int, i: int) -> bytes:
    """Input number `i`."""
    return target.change(Random(f"{seed}:{target.name}:{i}"), target.seed)


def fuzz(factory: Factory, name: str, seconds: float, seed: int, patience: float) -> Outcome:
    """Try inputs on the target called `name` for so long.

    Args:
        patience: s after which a single input counts as a hang.
    """
    outcome, context = Outcome(), multiprocessing.get_context("spawn")
    left = seconds
    while left > 0 and len(outcome.findings) < _MAX_FINDINGS:
        counts = context.Array("Q", [outcome.tried, 0], lock=False)  # begun, accepted
        spent = context.Value("d", 0.0, lock=False)  # s at work
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(factory, name, seed, left, counts, spent, sender), daemon=True)
        process.start()
        sender.close()
        ended = _watch(process, receiver, counts, patience, outcome.findings)
        if counts[0] == outcome.tried:
            outcome.findings.append(f"cannot be set up: {ended or 'no input was tried'}")
            return outcome
        outcome.tried, outcome.accepted = counts[0], outcome.accepted + counts[1]
        left -= spent.value
        if not ended:
            return outcome
        outcome.findings.append(f"input {outcome.tried - 1}: {ended}")
    return outcome


def _watch(process: Any, receiver: Connection, counts: Any, patience: float, findings: list[str]) -> str:
    """Wait for the end; how it ended, or nothing if it ended well."""
    begun, since, allowed = counts[0], time.monotonic(), max(patience, _SETUP)
    while process.is_alive():
        process.join(0.1)
        _collect(receiver, findings)
        if counts[0] != begun:
            begun, since, allowed = counts[0], time.monotonic(), patience
        elif time.monotonic() - since > allowed:
            process.kill()
            process.join()
            return f"hangs for more than {patience:g} s"
    _collect(receiver, findings)
    return f"ends the process with exit code {process.exitcode}" if process.exitcode else ""


def _collect(receiver: Connection, findings: list[str]) -> None:
    try:
        while receiver.poll():
            findings.append(receiver.recv())
    except EOFError:
        return


def _work(factory: Factory, name: str, seed: int, seconds: float, counts: Any, spent: Any, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    found = 0
    with tempfile.TemporaryDirectory() as scratch:
        target = next(target for target in factory(Path(scratch)) if target.name == name)
        start = time.monotonic()
        while spent.value < seconds and found < _MAX_FINDINGS:
            i = counts[0]
            counts[0] = i + 1
            try:
                counts[1] += target.accepts(make_input(target, seed, i))
            except Exception as error:
                found += 1
                sender.send(f"input {i}: {type(error).__name__}: {error}"[:300])
            spent.value = time.monotonic() - start
