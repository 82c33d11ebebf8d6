"""`landbridge inspect BUNDLE`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from contract.bundle import Bundle
    from contract.policy_contract import Contract
    from contract.signals import Signal


_WIDTH_OF_A_FILE = 130  # characters, where the output goes to a file or pipe
_ITEMS = 12  # of a list that are shown


@dataclass(frozen=True)
class Inspect:
    """Show what a policy bundle expects, gives, and where it comes from.

    Checks hashes and schema first, and does not run the policy: `landbridge verify` does.

    Examples:
        landbridge inspect go2-velocity-flat/
        landbridge inspect go2-velocity-flat.zip
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""

    def run(self) -> int:
        """Exit code 0; BundleError where the bundle is not whole."""
        from rich.console import Console
        from rich.text import Text

        from contract.bundle import read_bundle
        from landbridge.shipped import find

        bundle = read_bundle(find(self.bundle))
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH_OF_A_FILE)
        for title, table in _tables(bundle):
            console.print(Text(title, style="bold"))
            console.print(table)
            console.print()
        return 0


def _tables(bundle: "Bundle") -> Iterable[tuple[str, "Table"]]:
    contract = bundle.contract
    yield str(bundle.path), _summary(bundle)
    yield "Signals", _signals(contract)
    yield "Joints, in the order of every signal", _joints(contract)
    yield "Commands it was trained for", _pairs(_commands(contract))
    yield "Signals as seen in training", _envelope(contract)
    yield "Randomised in training", _pairs(contract.randomisation.items())
    yield "Monitor thresholds", _pairs(contract.monitors.items())
    yield "Training", _pairs(contract.provenance.training.items())
    yield "Packages", _pairs(contract.provenance.packages.items())
    yield "Files", _files(bundle)


def _summary(bundle: "Bundle") -> "Table":
    contract, provenance = bundle.contract, bundle.contract.provenance
    commit = provenance.git_commit or "not from a git checkout"
    delays = (contract.sensor_delay, contract.action_delay)
    sensor, action = (f"{1000 * delay.min:g} to {1000 * delay.max:g} ms" for delay in delays)
    return _pairs(
        {
            "task": contract.task,
            "robot": contract.robot,
            "control period": f"{1000 * contract.control_period:g} ms ({1 / contract.control_period:g} Hz)",
            "sensor delay in training": sensor,
            "action delay in training": action,
            "golden traces": f"{bundle.golden.batch} of {bundle.golden.steps} steps",
            "created": provenance.created,
            "command": provenance.command,
            "seed": provenance.seed,
            "git commit": f"{commit} (with uncommitted changes)" if provenance.git_dirty else commit,
            "config hash": provenance.config_hash,
            "schema version": contract.schema_version,
            "digest": bundle.digest,
        }.items(),
    )


def _signals(contract: "Contract") -> "Table":
    table = _table("", "name", "shape", "unit", "frame", "elements", "description")

    def add(kind: str, signals: Iterable["Signal"]) -> None:
        for signal in signals:
            elements = _short(signal.elements)
            shape = " x ".join(str(size) for size in signal.shape)
            _row(table, kind, signal.name, shape, signal.unit, signal.frame, elements, signal.description)

    add("in", contract.inputs)
    add("memory", contract.memory)
    add("out", contract.outputs)
    return table


def _joints(contract: "Contract") -> "Table":
    columns = {
        "default rad": contract.default_joint_pos,
        "lower rad": contract.joint_lower,
        "upper rad": contract.joint_upper,
        "target lower": contract.action_lower,
        "target upper": contract.action_upper,
        "rad/s": contract.velocity_limit,
        "N m": contract.effort_limit,
        "kp": contract.kp,
        "kd": contract.kd,
    }
    table = _table("", "joint", *columns)
    for j, name in enumerate(contract.joint_names):
        _row(table, j, name, *(f"{values[j]:.4g}" for values in columns.values()))
    return table


def _envelope(contract: "Contract") -> "Table":
    table = _table("signal", "element", "mean", "std", "min", "0.1 %", "99.9 %", "max")
    for signal in contract.inputs:
        statistics = contract.training_envelope.get(signal.name)
        if statistics is None:
            _row(table, signal.name, "not recorded")
            continue
        for i in range(len(statistics.mean)):
            element = signal.elements[i] if len(signal.elements) == len(statistics.mean) else str(i)
            columns = (
                statistics.mean,
                statistics.std,
                statistics.min,
                statistics.low,
                statistics.high,
                statistics.max,
            )
            _row(table, signal.name if i == 0 else "", element, *(f"{column[i]:.3g}" for column in columns))
    return table


def _commands(contract: "Contract") -> Iterable[tuple[str, str]]:
    for name, ranges in contract.command_ranges.items():
        for element, lower, upper in zip(ranges.elements, ranges.lower, ranges.upper, strict=True):
            yield f"{name} {element}", f"{lower:g} to {upper:g}"


def _files(bundle: "Bundle") -> "Table":
    from contract import manifest

    table = _table("name", "bytes", "SHA-256")
    listed = manifest.verify(bundle.files).files
    for name, data in sorted(bundle.files.items()):
        _row(table, name, len(data), listed.get(name, bundle.digest if name == manifest.FILE else ""))
    return table


def _pairs(rows: Iterable[tuple[str, object]]) -> "Table":
    table = _table("", "", show_header=False)
    for name, value in rows:
        _row(table, name, _compact(value))
    if not table.row_count:
        _row(table, "none", "")
    return table


def _compact(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_compact(item)}" for name, item in value.items())
    if isinstance(value, list):
        some = [_compact(item) for item in value[:_ITEMS]] + ["..."] * (len(value) > _ITEMS)
        return "[" + ", ".join(some) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(elements: tuple[str, ...]) -> str:
    return ", ".join(elements) if len(elements) <= 4 else f"{elements[0]}, ..., {elements[-1]}"


def _table(*columns: str, show_header: bool = True) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, show_header=show_header)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _row(table: "Table", *cells: object) -> None:
    from rich.text import Text

    table.add_row(*(Text(str(cell)) for cell in cells))  # Text: what a bundle says is not markup
