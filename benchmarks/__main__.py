"""`python -m benchmarks [NAME ...]`."""

import os
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

# Before torch is loaded: threads that wait must not spin, the physics needs the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tyro

from benchmarks import machine, results
from benchmarks.catalogue import Entry, chosen
from contract.errors import LandbridgeError

_PAGE = Path("docs/benchmarks.md")
_INTERRUPTED = 130  # 128 + SIGINT, as shells count it


@dataclass(frozen=True)
class Arguments:
    """Measure, print each ratio as soon as it is known, and write the page.

    Benchmarks: engine, envpool, warp, memory, randomisation, deploy, reaction, false_trips, safety, fuzz, envelope,
    conformance, identification, learning. A page that is there keeps the results of those that are not run.
    `conformance` also writes docs/conformance.md, where it keeps the engines that are not installed here, and
    `envelope` a table in docs/calibration.md. `reaction` takes half an hour, `learning` hours; interrupted, they and
    `false_trips` go on where they were.

    Examples:
        python -m benchmarks
        python -m benchmarks engine memory
        python -m benchmarks --quick
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which ones; all if none is named."""
    quick: bool = False
    """Small sizes and no learning: to see that it works. Writes nothing unless --out is given."""
    out: Path | None = None
    """The page; by default docs/benchmarks.md."""


def main(argv: list[str]) -> int:
    """Exit code: 0 when measured (whatever came out), 2 for wrong arguments, 130 when interrupted, else 1."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m benchmarks")
    page = arguments.out or (None if arguments.quick else _PAGE)
    try:
        entries = chosen(arguments.names, arguments.quick)
        if page:
            results.read(results.data_file(page))  # a damaged one is better found now than after an hour
        for name, entry in entries.items():
            _run(name, entry, arguments.quick, page)
    except LandbridgeError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "interrupted: what was measured is kept; the same command goes on with learning, reaction, false_trips",
            file=sys.stderr,
        )
        return _INTERRUPTED
    if page:
        print(f"written to {page}")
    return 0


def _run(name: str, entry: Entry, quick: bool, page: Path | None) -> None:
    """Run one benchmark; the page is written after each row, and keeps what others wrote to it meanwhile."""
    print(f"{name}: {entry.title}", flush=True)
    place = machine.describe() + ("; a quick look, not a measurement" if quick else "")
    rows: tuple[results.Row, ...] = ()
    for row in entry.make(quick).run():
        rows = (*rows, row)
        result = results.Result(entry.title, entry.about, place, date.today().isoformat(), rows)
        aim = f", aim {row.aim}: {row.verdict}" if row.aim else ""
        print(f"  {row.what}: ratio {results.ratio_text(row.ratio)}{aim}  {row.note}", flush=True)
        if page:
            results.write(page, results.read(results.data_file(page)) | {name: result})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
