"""What a sweep leaves behind: tables on the terminal, sweep.json, pictures, and margins in a bundle's card."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contract.bundle import read_bundle, write_bundle
from contract.errors import BundleError, LandbridgeError
from contract.storage import replace_file
from deploy_robot.onnx_policy import OnnxPolicy
from policies.sweep.joint import CHANCE
from policies.sweep.plots import plots
from policies.sweep.result import ParameterSweep, Side, SweepResult

RESULT = "sweep.json"
PICTURE = "sweep.png"  # in the bundle, too

_HEADING = "## Margins"
_LATER = "## Monitors"  # a section that `landbridge calibrate` writes anew, with all that comes after it


def to_json(result: SweepResult) -> dict[str, Any]:
    """The result as JSON values; what is not known, or beyond the last level, is null."""
    return asdict(result)


def save(result: SweepResult, folder: Path) -> Path:
    """Write sweep.json and the pictures into `folder`.

    Raises:
        LandbridgeError: something cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in plots(result).items():
            replace_file(folder / name, picture)
        # Last, so that where it is, the rest is too.
        replace_file(folder / RESULT, (json.dumps(to_json(result), indent=1) + "\n").encode())
    except OSError as error:
        raise LandbridgeError(f"cannot write the sweep into {folder}: {error.strerror or error}") from error
    return folder / RESULT


def write_card(result: SweepResult, out: Path) -> Path:
    """Write a copy of the bundle that was swept to `out`, with the margins in its card.

    A signature is not in it: it was of other files.

    Raises:
        BundleError: the bundle has changed since its sweep, or the copy cannot be written.
    """
    bundle = read_bundle(Path(result.bundle))
    if bundle.digest != result.digest:
        raise BundleError(f"{bundle.path}: has changed since its sweep; sweep it again")
    pictures = {**bundle.plots, PICTURE: plots(result)[PICTURE]}
    card = with_margins(bundle.card, result)
    written = read_bundle(write_bundle(out, bundle.contract, bundle.onnx, bundle.golden, card, pictures))
    OnnxPolicy(written).replay_golden()
    return out


def with_margins(card: str, result: SweepResult) -> str:
    """A card with the section of the margins, in place of one that is there."""
    before, found, rest = card.partition(f"{_HEADING}\n")
    if found:
        _, later, after = rest.partition("\n## ")
        card = before + (f"## {after}" if later else "")
    before, found, after = card.partition(f"{_LATER}\n")
    return f"{before.rstrip()}\n\n{_section(result)}\n" + (f"\n{found}{after}" if found else "")


def _section(result: SweepResult) -> str:
    rows = [(f"`{one.parameter}`", trained(one), *_sides(one)) for one in result.parameters]
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *rows]
    return "\n\n".join(
        (
            _HEADING,
            " ".join(summary(result)),
            "\n".join("| " + " | ".join(line) + " |" for line in lines),
            f"{_LEGEND} {method(result)}",
            f"![sweep](plots/{PICTURE})",
        )
    )


# -- on the terminal ----------------------------------------------------------------------------------------------

_COLUMNS = ("parameter", "trained", "below: fails at", "margin", "above: fails at", "margin")
_LEGEND = (
    "Margin: distance from the middle of the training range in halves of that range, 1 at its end, with its 90 %"
    " interval; >: of the last level, at which it holds; to the limit: no value beyond is possible or simulated."
)


def show(result: SweepResult, console: Console) -> None:
    """Print the margins, what was left out, the joint effects, and what all of it means."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column, justify in zip(_COLUMNS, ("left", "left", "right", "left", "right", "left"), strict=True):
        table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for one in result.parameters:
        style = "red" if one.margin < 1.0 else ""
        table.add_row(one.parameter, trained(one), *(Text(cell, style=style) for cell in _sides(one)))
    console.print(table)
    console.print(Text(_LEGEND, style="dim"), soft_wrap=True)
    if result.joint is not None:
        console.print()
        console.print(_effects(result))
        console.print(
            Text(
                "Change of the share of failures from one end of a parameter's joint range to the other: mu* its mean"
                " size, with the half width of the 95 % interval; mu its mean, above 0 where more is worse; sigma its"
                f" spread, large where it depends on the others. {CHANCE} does nothing; up to"
                f" {result.joint.floor:.2f} may be luck. Red: more than luck.",
                style="dim",
            ),
            soft_wrap=True,
        )
    console.print()
    for left in result.left_out:
        console.print(f"left out: {left.parameter}: {left.reason}", markup=False, soft_wrap=True)
    for sentence in (method(result), *summary(result)):
        console.print(sentence, markup=False, soft_wrap=True)


def _effects(result: SweepResult) -> Table:
    assert result.joint is not None
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("jointly", no_wrap=True)
    for column in ("mu*", "+-", "mu", "sigma"):
        table.add_column(column, justify="right", no_wrap=True)
    for effect in result.joint.effects:
        style = "red" if result.joint.stands_out(effect) else "dim" if effect.parameter == CHANCE else ""
        figures = (effect.mu_star, effect.confidence, effect.mu, effect.sigma)
        table.add_row(effect.parameter, *(f"{figure:.2f}" for figure in figures), style=style)
    return table


def trained(one: ParameterSweep) -> str:
    """The training range with its unit."""
    return f"{one.low:g} .. {one.high:g}" + ("" if one.unit == "1" else f" {one.unit}")


def _sides(one: ParameterSweep) -> Iterator[str]:
    """Where the policy fails and its margin, below and above."""
    for side, last in ((one.below, one.levels[0]), (one.above, one.levels[-1])):
        if side.margin is not None and side.value is not None:
            yield f"{side.value:.3g}"
            yield f"{side.margin:.1f} ({_end(side.low, side)} - {_end(side.high, side)})"
        else:
            yield f"holds to {last.value:.3g}"
            yield "to the limit" if side.limit else f">{side.tried:.1f}"


def _end(distance: float | None, side: Side) -> str:
    return f">{side.tried:.1f}" if distance is None else f"{distance:.1f}"


def method(result: SweepResult) -> str:
    """How it was measured, in two sentences."""
    settings = result.settings
    others = "as in training" if settings.others == "training" else "nominal"
    bounds = ", ".join(f"{bound.name} at most {bound.most:.3g} {bound.unit}" for bound in result.bounds)
    return (
        f"{settings.repeats} episodes a level, {result.seconds:g} s each, in {result.engine}, all else {others}, seed"
        f" {result.seed}. A success: no fall, and {bounds}; failing: fewer than {settings.share:.0%} succeed."
    )


def summary(result: SweepResult) -> Sequence[str]:
    """What was found, in sentences."""
    found = [
        f"{result.reference:.0%} of {result.reference_episodes} episodes succeed with all parameters"
        f" {'as in training' if result.settings.others == 'training' else 'nominal'}."
    ]
    weak = [one for one in result.parameters if one.margin <= result.settings.reach]
    if weak:
        first = weak[0]
        side = min((first.below, first.above), key=lambda s: float("inf") if s.margin is None else s.margin)
        unit = "" if first.unit == "1" else f" {first.unit}"
        found.append(
            f"The smallest margin is that of {first.parameter}: it fails from {side.value:.3g}{unit} on,"
            f" {side.margin:.1f} halves of its training range from the middle."
        )
    else:
        found.append("No parameter on its own made it fail.")
    if result.joint is not None:
        loud = [e.parameter for e in result.joint.effects if result.joint.stands_out(e)]
        said = f"what breaks it is {', '.join(loud)}, worst first" if loud else "no parameter stands out from chance"
        found.append(
            f"Jointly, up to {result.settings.joint_reach:g} halves of each range, {result.joint.success:.0%} of"
            f" {result.joint.episodes} episodes succeed, and {said}."
        )
    return found
