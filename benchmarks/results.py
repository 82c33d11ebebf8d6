"""What benchmarks found: rows, kept in a JSON file, and the page that is made from it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.timing import Spread
from contract.errors import LandbridgeError
from contract.storage import replace_file


@dataclass(frozen=True)
class Aim:
    """What a ratio should be."""

    limit: float
    at_least: bool = True

    def holds(self, ratio: float) -> bool:
        """NaN never does."""
        return ratio >= self.limit if self.at_least else ratio <= self.limit

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: compared with what.
        ours, other: medians in `unit`.
        ratio: ours / other, round by round; None where it could not be measured, and `note` says why.
        aim: for the ratio; None where there is none.
        note: what a reader should know.
    """

    what: str
    ours: float | None
    other: float | None
    unit: str
    ratio: Spread | None
    aim: Aim | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the aim is met, in a word or two."""
        if self.ratio is None:
            return "not measured"
        if self.aim is None:
            return ""
        return "yes" if self.aim.holds(self.ratio.median) else "no"


class Benchmark(Protocol):
    """A way to find rows. Fields of an implementation are its sizes."""

    def run(self) -> Iterator[Row]:
        """Each row as soon as it is known."""
        ...


@dataclass(frozen=True)
class Result:
    """Rows of one benchmark, and where and when they were measured."""

    title: str
    about: str
    machine: str
    date: str
    rows: tuple[Row, ...]


def read(path: Path) -> dict[str, Result]:
    """Results by name of benchmark; none if there is no such file.

    Raises:
        LandbridgeError: it is damaged.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: _result(value) for name, value in content.items()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LandbridgeError(f"cannot read earlier results from {path}: {error}; delete it or mend it") from None


def write(page: Path, results: Mapping[str, Result]) -> None:
    """Write the page, and beside it the JSON from which a later run goes on.

    Raises:
        LandbridgeError: the disk is full or not writable.
    """
    content = {name: asdict(result) for name, result in results.items()}
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        replace_file(data_file(page), (json.dumps(content, indent=1) + "\n").encode())
        replace_file(page, markdown(results).encode())
    except OSError as error:
        raise LandbridgeError(f"cannot write {page}: {error.strerror}") from None


def data_file(page: Path) -> Path:
    """Where the figures behind a page are."""
    return page.with_suffix(".json")


def markdown(results: Mapping[str, Result]) -> str:
    """The page."""
    parts = [
        "# Benchmarks\n",
        "Written by `make benchmark`. Every ratio is measured in one run in which the contestants take turns, so that "
        "whatever else the machine does strikes all of them alike: the ratio is the median over rounds of "
        "ours / theirs, with quartiles. The absolute figures are medians, and belong to the machine that is named.\n",
    ]
    for result in results.values():
        parts.append(f"## {result.title}\n\n{result.about}\n\nMeasured {result.date} on {result.machine}.\n")
        parts.append("| | ours | theirs | unit | ratio | aim | met |\n|---|---|---|---|---|---|---|")
        parts += [_line(row) for row in result.rows]
        notes = [f"- {row.what}: {row.note}" for row in result.rows if row.note]
        parts.append("\n" + "\n".join(notes) + "\n" if notes else "")
    return "\n".join(parts).rstrip("\n") + "\n"


def ratio_text(ratio: Spread | None) -> str:
    """Median and quartiles."""
    return "-" if ratio is None else f"{ratio.median:.3g} ({ratio.low:.3g} to {ratio.high:.3g})"


def _line(row: Row) -> str:
    cells = [
        row.what,
        _number(row.ours),
        _number(row.other),
        row.unit,
        ratio_text(row.ratio),
        str(row.aim or "-"),
        row.verdict or "-",
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _result(value: dict[str, Any]) -> Result:
    return Result(**{**value, "rows": tuple(_row(row) for row in value["rows"])})


def _row(value: dict[str, Any]) -> Row:
    ratio, aim = value["ratio"], value["aim"]
    return Row(**{**value, "ratio": ratio and Spread(**ratio), "aim": aim and Aim(**aim)})
