"""Progress of a training run on the terminal: a live bar, or plain lines where there is no terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_SECONDS_BETWEEN_LINES = 15.0
_SHOWN = {
    "reward": ("task/reward_per_second", "{:.2f}/s"),
    "error": ("task/tracking_error", "{:.2f} m/s"),
    "falls": ("task/falls_per_minute", "{:.2f}/min"),
}


class Reporter(Protocol):
    """Told of every iteration."""

    def report(self, iteration: int, done: float, seconds_left: float, figures: Mapping[str, float]) -> None:
        """`done` is the share of the budget that is spent, 0 to 1."""
        ...

    def note(self, sentence: str) -> None:
        """Something that the user should read, such as where a checkpoint went."""
        ...


class NotesOnly:
    """A reporter for work without iterations: sentences go to the terminal."""

    def report(self, iteration: int, done: float, seconds_left: float, figures: Mapping[str, float]) -> None:
        """Nothing: there are no iterations."""

    def note(self, sentence: str) -> None:
        """Print it."""
        print(sentence)


class LiveProgress:
    """A bar on a terminal, else a line now and then: iteration, speed, time left, reward, tracking, falls."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._title = title
        self._live = self._console.is_terminal
        self._next_line = 0.0
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[text]}", markup=False),
            console=self._console,
            auto_refresh=False,  # no thread beside the physics: an iteration takes about a second
            expand=True,
        )
        self._task = self._bar.add_task(title, total=1.0, text="")

    def __enter__(self) -> LiveProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._bar.refresh()
            self._bar.stop()

    def report(self, iteration: int, done: float, seconds_left: float, figures: Mapping[str, float]) -> None:
        """Show one iteration."""
        text = _text(iteration, seconds_left, figures)
        if self._live:
            self._bar.update(self._task, completed=done, text=text, refresh=True)
        elif time.monotonic() >= self._next_line or done >= 1.0:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._print(f"{self._title} {100 * done:3.0f} %  {text}")

    def note(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self._print(sentence)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


def _text(iteration: int, seconds_left: float, figures: Mapping[str, float]) -> str:
    parts = [
        f"iteration {iteration}",
        f"{figures['speed/steps_per_second']:,.0f} steps/s",
        f"{_clock(seconds_left)} left",
    ]
    for word, (name, form) in _SHOWN.items():
        if math.isfinite(figures.get(name, math.nan)):
            parts.append(f"{word} {form.format(figures[name])}")
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
