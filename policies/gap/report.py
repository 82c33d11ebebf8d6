"""What a comparison of engines leaves behind: tables and a verdict on the terminal, gap.json, pictures."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contract.errors import LandbridgeError
from contract.storage import replace_file
from policies.gap.finding import listed
from policies.gap.measure import Gap, GapResult
from policies.gap.parting import MARGIN, Parting
from policies.gap.plots import plots

RESULT = "gap.json"


def to_json(result: GapResult) -> dict[str, Any]:
    """The result as JSON values; what is not finite, which JSON does not know, becomes null."""
    document: dict[str, Any] = _plain(asdict(result))
    document["passed"] = result.passed
    for bar, row in zip(result.bars, document["bars"], strict=True):
        row["passed"] = bar.passed
    for difference, row in zip(result.differences, document["differences"], strict=True):
        row["of_trained"] = _plain(difference.of_trained)
    return document


def save(gap: Gap, folder: Path) -> Path:
    """Write gap.json and the pictures into `folder`.

    Raises:
        LandbridgeError: something cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in plots(gap).items():
            replace_file(folder / name, picture)
        # Last, so that where it is, the rest is too.
        replace_file(folder / RESULT, (json.dumps(to_json(gap.result), indent=1) + "\n").encode())
    except OSError as error:
        raise LandbridgeError(f"cannot write the comparison into {folder}: {error.strerror or error}") from error
    return folder / RESULT


def show(result: GapResult, console: Console) -> None:
    """Print when what parts, what differs in one period, all findings, the bars and the verdict."""
    legs = ", ".join(leg.name for leg in result.legs)
    console.print(
        f"{result.task}: {result.first} against {result.second}; {legs}, {result.leg_seconds:g} s each,"
        f" seed {result.seed}",
        markup=False,
        soft_wrap=True,
    )
    for loop, partings in (("closed loop: the policy reads each engine", result.closed),
                           (f"open loop: targets of {result.first} replayed", result.open)):  # fmt: skip
        console.print()
        console.print(Text(loop, style="bold"))
        console.print(_partings(partings))
    console.print(
        Text(f"allowed: {MARGIN:g} times what the sensor noise of training does. worst: of that.", style="dim")
    )
    console.print()
    console.print(
        Text(
            "one control period from equal states, of the run and at random without contact (root mean square)",
            style="bold",
        )
    )
    console.print(_differences(result))
    console.print(
        Text(
            f"trained: over what training randomised. step: over what half the physics step changes in {result.first}.",
            style="dim",
        )
    )
    console.print()
    for finding in result.findings:
        console.print(Text.assemble((f"{finding.fault:<9}", "bold"), finding.sentence), soft_wrap=True)
    if result.findings:
        console.print()
    console.print(_bars(result))
    console.print()
    first = result.parts_first
    if first is not None:
        console.print(
            f"first to part: {first.group}, {first.signal} {first.element}, after {first.time:.2f} s,"
            f" by {first.size:.3g} {first.unit} (allowed {first.tolerance:.3g})",
            markup=False,
            soft_wrap=True,
        )
    style, word = ("bold green", "PASS") if result.passed else ("bold red", "FAIL")
    failed = [bar.name for bar in result.bars if not bar.passed]
    bars = f"beyond the bars ({listed(failed)})" if failed else "within the bars"
    cause = f"at fault where they part: {result.cause}" if result.findings else f"{result.second} moves alike"
    console.print(Text.assemble((word, style), f"  {bars}; {cause}"), soft_wrap=True)


def _partings(partings: Sequence[Parting]) -> Table:
    table = _table(
        ("signal", "left"),
        ("parts after", "right"),
        ("in", "left"),
        ("by", "right"),
        ("allowed", "right"),
        ("worst", "right"),
    )
    for parting in partings:
        parted = parting.time is not None
        table.add_row(
            parting.group,
            f"{parting.time:.2f} s" if parted else "-",
            f"{parting.signal} {parting.element}" if parted else "",
            f"{parting.size:.3g} {parting.unit}" if parted else "",
            f"{parting.tolerance:.3g}" if parted else "",
            f"{parting.largest:.2g}",
        )
    return table


def _differences(result: GapResult) -> Table:
    table = _table(
        ("from", "left"),
        ("signal", "left"),
        ("differs by", "right"),
        ("trained", "right"),
        ("step", "right"),
        ("most in", "left"),
    )
    for row in result.differences:
        table.add_row(
            "the run" if row.where == "ground" else "random",
            row.channel,
            f"{row.size:.2g} {row.unit}",
            _ratio(row.size, row.trained),
            _ratio(row.size, row.step),
            row.worst if row.size > 0.0 else "",
        )
    return table


def _bars(result: GapResult) -> Table:
    table = _table(("requirement", "left"), ("measured", "right"), ("at most", "right"), ("unit", "left"), ("", "left"))
    for bar in result.bars:
        verdict = Text("pass", style="green") if bar.passed else Text("FAIL", style="bold red")
        value = "-" if math.isnan(bar.value) else f"{bar.value:.3g}"
        table.add_row(bar.name, value, f"{bar.limit:g}", bar.unit, verdict)
    return table


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title, justify in columns:
        # What names a joint may take two lines: figures may not.
        table.add_column(title, justify=justify, no_wrap=title not in ("in", "most in"))  # type: ignore[arg-type]
    return table


def _ratio(size: float, yardstick: float) -> str:
    return f"{size / yardstick:.2g}" if yardstick > 0.0 else "-"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
