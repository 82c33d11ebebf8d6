"""What a check leaves behind: a table on the terminal, check.json, pictures, and recorded episodes."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contract.errors import LandbridgeError
from contract.storage import replace_file
from policies.check_plots import example, plots
from policies.evaluation import Check, CheckResult

RESULT = "check.json"
EPISODES = "episodes"
_KEPT_FALLS = 16  # recordings; every fall keeps its draw in check.json


def to_json(result: CheckResult) -> dict[str, Any]:
    """The result as JSON values; NaN, which JSON does not know, becomes null."""
    document: dict[str, Any] = _plain(asdict(result))
    document["passed"] = result.passed
    for bar, row in zip(result.bars, document["bars"], strict=True):
        row["passed"] = bar.passed
    return document


def save(check: Check, folder: Path) -> Path:
    """Write check.json, the pictures, and recordings of a typical episode and of falls into `folder`.

    Raises:
        LandbridgeError: something cannot be written.
    """
    try:
        (folder / EPISODES).mkdir(parents=True, exist_ok=True)
        for name, picture in plots(check).items():
            replace_file(folder / name, picture)
        save_episode(check, example(check), folder / EPISODES / "typical.npz")
        for fall in check.result.falls[:_KEPT_FALLS]:
            save_episode(check, fall.env, folder / EPISODES / f"fall-{fall.env}.npz")
        # Last, so that where it is, the rest is too.
        replace_file(folder / RESULT, (json.dumps(to_json(check.result), indent=1) + "\n").encode())
    except OSError as error:
        raise LandbridgeError(f"cannot write the check into {folder}: {error.strerror or error}") from error
    return folder / RESULT


def save_episode(check: Check, env: int, path: Path) -> None:
    """Record one environment, fall included, in the format of the emulated robot's ground truth."""
    rollout = check.rollout
    # One second past the fall, to see it; what comes later has no meaning.
    last = min(len(rollout.alive), int(rollout.alive[:, env].sum()) + round(1.0 / rollout.period))
    fields = ("root_pos", "root_quat", "joint_pos", "joint_vel", "joint_torque", "joint_target")
    about = {
        "robot": check.robot.name,
        "command": rollout.command[env].tolist(),
        "seed": check.result.seed,
        "env": env,
    }
    with path.open("wb") as stream:
        np.savez(
            stream,
            time=rollout.time[:last],
            report=json.dumps(about),
            **{name: getattr(rollout, name)[:last, env] for name in fields},
        )


def show(result: CheckResult, console: Console) -> None:
    """Print the table of commands, the bars and the verdict."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, collapse_padding=True, pad_edge=False)
    table.add_column("command", no_wrap=True)
    for label in (*(column.label for column in result.metrics), "falls", "torque", "speed"):
        table.add_column(label, justify="right", no_wrap=True)
    for cell in result.cells:
        table.add_row(
            Text(cell.name),
            *(_figure(cell.scores[column.name], "{:.2f}") for column in result.metrics),
            Text(f"{cell.falls}/{cell.episodes}", style="red" if cell.falls else ""),
            _figure(cell.torque_fraction, "{:.0%}"),
            _figure(cell.velocity_fraction, "{:.0%}"),
        )
    console.print(table)
    labels = ", ".join(
        column.label if column.label == column.name else f"{column.label}: {column.name}" for column in result.metrics
    )
    console.print(Text(f"{labels}; means. torque, speed: 99th percentile, of the limit.", style="dim"))
    console.print()
    bars = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in ("requirement", "measured", "at most", "unit", ""):
        bars.add_column(column, justify="right" if column in ("measured", "at most") else "left")
    for bar in result.bars:
        verdict = Text("pass", style="green") if bar.passed else Text("FAIL", style="bold red")
        bars.add_row(bar.name, _figure(bar.value, "{:.3f}"), f"{bar.limit:g}", bar.unit, verdict)
    console.print(bars)
    console.print()
    style, word = ("bold green", "PASS") if result.passed else ("bold red", "FAIL")
    console.print(
        Text.assemble(
            (word, style),
            f"  {result.episodes} episodes of {result.seconds:g} s in {result.engine}, randomised"
            f" {result.randomisation_width:g} times as widely as in training, seed {result.seed},"
            f" in {result.wall_time:.0f} s",
        ),
        soft_wrap=True,
    )
    console.print(Text(result.supervisor.sentence(), style="dim"), soft_wrap=True)
    if result.not_randomised:
        console.print(_not_randomised(result), soft_wrap=True)


def show_gate(results: Sequence[CheckResult], console: Console) -> None:
    """Print one table of several engines' checks: a row an engine, a column a requirement."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("engine", no_wrap=True)
    for bar in results[0].bars:
        table.add_column(f"{bar.name}\n{bar.unit}\n<= {bar.limit:g}", justify="right")
    table.add_column("", no_wrap=True)
    for result in results:
        verdict = Text("PASS", style="bold green") if result.passed else Text("FAIL", style="bold red")
        figures = [Text(_figure(bar.value, "{:.3f}"), style="" if bar.passed else "red") for bar in result.bars]
        table.add_row(result.engine, *figures, verdict)
    console.print(table)
    for result in results:
        if result.not_randomised:
            console.print(_not_randomised(result), soft_wrap=True)


def _not_randomised(result: CheckResult) -> str:
    return f"{result.engine} cannot randomise {', '.join(result.not_randomised)}: left at nominal values"


def _figure(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
