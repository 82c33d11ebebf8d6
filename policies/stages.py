"""A sequence of stages, each timed, of which one may fail without taking the others' results with it."""

import time
from collections.abc import Callable
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contract.errors import LandbridgeError
from policies.report import Stage

T = TypeVar("T")


class Stages:
    """Runs stages, announces each, and remembers how long it took and how it ended."""

    def __init__(self, console: Console, count: int) -> None:
        self.done: list[Stage] = []
        self._console = console
        self._count = count

    def run(self, name: str, work: Callable[[], T], note: Callable[[T], str] = lambda _: "") -> T | None:
        """The result of `work`, or None where it failed for a reason that the user can act on.

        Args:
            note: says in one line what came out.
        """
        title = f"{len(self.done) + 1}/{self._count} {name}"
        self._console.print(Text(title, style="bold cyan"))
        start = time.monotonic()
        try:
            result = work()
        except LandbridgeError as error:
            self._end(name, start, False, str(error))
            return None
        except OSError as error:
            self._end(name, start, False, f"{error.strerror or error}: {error.filename or name}")
            return None
        self._end(name, start, True, note(result))
        return result

    def show(self) -> None:
        """Print how long each stage took."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        for column in ("stage", "took", "result"):
            table.add_column(column, justify="right" if column == "took" else "left")
        for stage in self.done:
            note = Text(stage.note or "done", style="" if stage.passed else "red")
            table.add_row(stage.name, f"{stage.seconds:.1f} s", note)
        total = sum(stage.seconds for stage in self.done)
        table.add_row("all", f"{total:.1f} s", f"{int(total // 60)} min {total % 60:.0f} s", end_section=True)
        self._console.print(table)

    def _end(self, name: str, start: float, passed: bool, note: str) -> None:
        self.done.append(Stage(name, time.monotonic() - start, passed, note))
        if note:
            self._console.print(Text(f"  {note}", style="" if passed else "red"))
