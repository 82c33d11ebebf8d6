"""The card of a bundle: what it was trained for, how it scored, under what it fails. Markdown."""

import math
from collections.abc import Iterable, Sequence

from contract.policy_contract import Contract
from policies.evaluation import CheckResult, Column

_FAILURES = 12  # falls that are listed


def unchecked_card(contract: Contract, title: str) -> str:
    """The card before any check."""
    return _join([*_head(contract, title), "## Check", "Not checked yet. `landbridge check` does.", *_tail(contract)])


def checked_card(contract: Contract, title: str, result: CheckResult) -> str:
    """The card with the figures of a check."""
    bars = (
        (bar.name, _figure(bar.value), f"{bar.limit:g}", bar.unit, "pass" if bar.passed else "**fail**")
        for bar in result.bars
    )
    cells = (
        (
            cell.name,
            *(_figure(cell.scores[column.name]) for column in result.metrics),
            f"{cell.falls}/{cell.episodes}",
            _figure(cell.torque_fraction),
            _figure(cell.velocity_fraction),
        )
        for cell in result.cells
    )
    return _join(
        [
            *_head(contract, title),
            "## Check",
            f"**{'Passed' if result.passed else 'Failed'}**: {result.episodes} episodes of {result.seconds:g} s in "
            f"{result.engine}, the exported graph itself, robots randomised {result.randomisation_width:g} times as "
            f"widely as in training, seed {result.seed}.",
            _table(("requirement", "measured", "at most", "unit", ""), bars),
            "Means; torque and velocity are 99th percentiles, as a fraction of the limit.",
            _table(("command", *map(_heading, result.metrics), "falls", "torque", "velocity"), cells),
            "![scores](plots/scores.png)",
            "## Under what it fails",
            *_failures(contract, result),
            "![sensitivity](plots/sensitivity.png)",
            "It has seen no robot but a simulated one.",
            *_tail(contract),
        ]
    )


def _heading(column: Column) -> str:
    return column.name if column.unit == "1" else f"{column.name}, {column.unit}"


def _failures(contract: Contract, result: CheckResult) -> Iterable[str]:
    if not result.falls:
        yield f"No fall in {result.episodes} episodes."
        return
    yield f"{len(result.falls)} of {result.episodes} episodes ended in a fall."
    rows = [
        (f"{fall.env}", fall.cell, f"{fall.time:.2f} s", _drawn(contract, fall.draw))
        for fall in result.falls[:_FAILURES]
    ]
    yield _table(("episode", "command", "at", "some of its draw"), rows)


def _drawn(contract: Contract, draw: dict[str, list[float]]) -> str:
    """The parameters that are one number and not the same in every episode."""
    constant = {name for name, term in contract.randomisation.items() if term["kind"] == "constant"}
    chosen = {name: values[0] for name, values in draw.items() if len(values) == 1 and name not in constant}
    return ", ".join(f"{name} {value:.3g}" for name, value in chosen.items())


def _head(contract: Contract, title: str) -> list[str]:
    ranges = [
        f"{element} {lower:g} to {upper:g}"
        for given in contract.command_ranges.values()
        for element, lower, upper in zip(given.elements, given.lower, given.upper, strict=True)
    ]
    command_unit = "; ".join(s.unit for s in contract.inputs if s.name in contract.command_ranges)
    return [
        f"# {contract.task}",
        f"{title}. Robot `{contract.robot}`, one step each {1e3 * contract.control_period:g} ms.",
        f"It was trained for commands {', '.join(ranges)} ({command_unit}), and clips others to that range.",
        f"It reads {', '.join(f'`{s.name}`' for s in contract.inputs)}, all of which a real robot measures.",
    ]


def _tail(contract: Contract) -> list[str]:
    origin = contract.provenance
    figures = {name: value for name, value in origin.training.items() if isinstance(value, int | float)}
    return [
        "## How it was made",
        f"`{origin.command}`, seed {origin.seed}, {origin.created}.",
        ", ".join(f"{name} {value:,g}" for name, value in figures.items()) or "Training left no figures.",
        "Randomised in training: " + (", ".join(contract.randomisation) or "nothing") + ".",
        "Every figure that a runtime needs is in `contract.json`; `landbridge inspect` shows it.",
    ]


def _join(paragraphs: Iterable[str]) -> str:
    return "\n\n".join(paragraphs) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
