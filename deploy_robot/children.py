"""Child processes that a session starts, watches and ends: each in a process group of its own, none left
behind.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from contract.errors import LandbridgeError
from deploy_robot.process import ERROR_PREFIX, PARENT_VARIABLE

_ROS_ERROR = re.compile(r"\[(?:ERROR|FATAL)\] \[[^]]*\] \[[^]]*\]: (?P<reason>.*)")

_POLL_PERIOD = 0.05  # s


class Child:
    """A running process; all that it prints goes to `log`.

    Args:
        name: for messages and the log.
        argv: program and arguments.
        environment: added to this process's own.
        folder: where `NAME.txt` is written.

    Raises:
        LandbridgeError: it cannot be started.
    """

    def __init__(self, name: str, argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.txt"
        self._group_ended = False
        inherited = os.environ | environment | {PARENT_VARIABLE: str(os.getpid())}
        try:
            with self.log.open("wb") as output:
                # A group of its own, so that Ctrl-C in a terminal reaches only the session, which ends them
                # in order.
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=inherited,
                    start_new_session=True,
                )
        except OSError as error:
            raise LandbridgeError(f"{name} could not be started: {error}") from None

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    def check(self) -> None:
        """LandbridgeError with its reason if the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise LandbridgeError(f"{self.name} ended: {self.reason(code)}")

    def reason(self, code: int | None = None) -> str:
        """The last error that it printed; else the last line, or how it ended."""
        lines = [line.strip() for line in self.output().splitlines() if line.strip()]
        for line in reversed(lines):
            if line.startswith(ERROR_PREFIX):
                return line.removeprefix(ERROR_PREFIX)
            if match := _ROS_ERROR.match(line):
                return match["reason"]
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return lines[-1] if lines else f"exit code {code}"

    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    def await_output(self, text: str, timeout: float, check: Callable[[], None] = lambda: None) -> None:
        """Wait until it has printed `text`.

        Args:
            check: called again and again; raises to give up.

        Raises:
            LandbridgeError: it ended, or printed nothing like it within `timeout` s.
        """
        deadline = time.monotonic() + timeout
        while text not in self.output():
            self.check()
            check()
            if time.monotonic() > deadline:
                raise LandbridgeError(f"{self.name} was not ready within {timeout:g} s: {self.reason()}")
            time.sleep(_POLL_PERIOD)

    def stop(self, timeout: float = 10.0) -> int:
        """SIGINT, and SIGKILL to the whole group for what is still there after `timeout` s; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()
        self._kill_group()
        return self._process.returncode

    def kill(self) -> int:
        """SIGKILL to the whole group; its exit code."""
        self._kill_group()
        return self._process.wait()

    def _kill_group(self) -> None:
        if self._group_ended:  # by now the system may have given its number to somebody else
            return
        self._group_ended = True
        with contextlib.suppress(ProcessLookupError):  # the usual case: nothing of the group is left
            os.killpg(self.pid, signal.SIGKILL)


class Children:
    """Processes that end together, in the reverse of the order in which they were started."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._running: list[Child] = []
        self.problems: list[str] = []  # of those that did not end with exit code 0, once all have ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for child in reversed(self._running):
            if code := child.stop():
                self.problems.append(f"{child.name} ended: {child.reason(code)}")

    def start(self, name: str, argv: Sequence[str]) -> Child:
        """Start a process. LandbridgeError where that fails."""
        child = Child(name, argv, self._environment, self._folder)
        self._running.append(child)
        return child

    def check(self) -> None:
        """LandbridgeError, with its reason, for the first that has ended."""
        for child in self._running:
            child.check()

    def __getitem__(self, name: str) -> Child:
        return next(child for child in self._running if child.name == name)
