"""Every law of physics in `sim.conformance` against every engine that is installed: one table."""

import functools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.results import Aim, Row, data_file
from benchmarks.timing import Spread
from contract.errors import LandbridgeError
from contract.storage import replace_file
from sim import engines
from sim.conformance import LAWS, Bench, Law, Measurement, Outcome, judge

TITLE = "Conformance of engines"
ABOUT = (
    "Laws of physics, measured on each engine with robots whose motion can be written down. `ours` counts those that "
    "the engine keeps, `theirs` all that it offers what they need for. [The table](conformance.md) has every law, its "
    "deviation and its tolerance."
)
_PAGE = Path("docs/conformance.md")
_INTRODUCTION = """# Conformance

Written by `python -m benchmarks conformance`. One suite of physical laws judges every engine. A law places robots that
are so simple that their motion can be written down (`sim/conformance/robots`), measures the largest deviation from it,
and compares it with a tolerance that numerics explain: the order of integrators, soft contacts, float32. The tolerance
is the same for every engine. A cell shows **deviation / tolerance**; what is broken is marked as such, and a law for
which an engine lacks something, as it declares in its capabilities, says what.

An engine of your own is judged like these:

```python
from sim.conformance import LAWS, Bench, judge

with Bench(MyEngine) as bench:  # called with robot, num_envs, physics_dt, decimation, terrain
    for law in LAWS:
        print(law.name, judge(law, bench))
```
"""


@dataclass(frozen=True)
class Verdicts:
    """What one engine made of the laws, by name of the law; on which device of which machine, and when."""

    device: str
    machine: str
    date: str
    outcomes: dict[str, Outcome]

    @property
    def measured(self) -> list[str]:
        """Laws for which the engine has what they need."""
        return [name for name, outcome in self.outcomes.items() if not outcome.not_offered]

    @property
    def broken(self) -> list[str]:
        """Laws that it was measured on and does not keep."""
        return [name for name in self.measured if not self.outcomes[name].holds]


@dataclass(frozen=True)
class ConformanceBenchmark:
    """Which engines, all that are installed if None; and the page, which keeps what is known of the others."""

    names: tuple[str, ...] | None = None
    page: Path | None = _PAGE
    laws: tuple[Law, ...] = LAWS

    def run(self) -> Iterator[Row]:
        """One row an engine; the page is written after each."""
        known = read(data_file(self.page)) if self.page else {}
        chosen = self.names or tuple(name for name in engines.names() if engines.missing_module(name) is None)
        for name in chosen:
            known[name] = self._judge(name)
            if self.page:
                write(self.page, known)
        for name in sorted(known):
            yield _row(name, known[name])

    def _judge(self, name: str) -> Verdicts:
        with Bench(functools.partial(engines.make, name)) as bench:
            outcomes = {law.name: judge(law, bench) for law in self.laws}
            device = bench.device
        return Verdicts(device, machine.describe(), date.today().isoformat(), outcomes)


def read(path: Path) -> dict[str, Verdicts]:
    """Verdicts by name of engine, of laws that there still are; none if there is no such file.

    Raises:
        LandbridgeError: it is damaged.
    """
    if not path.exists():
        return {}
    laws = {law.name: law for law in LAWS}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Verdicts(
                value["device"],
                value["machine"],
                value["date"],
                {law: _outcome(laws[law], found) for law, found in value["outcomes"].items() if law in laws},
            )
            for name, value in content.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LandbridgeError(f"cannot read earlier verdicts from {path}: {error}; delete it or mend it") from None


def write(page: Path, known: dict[str, Verdicts]) -> None:
    """Write the page, and beside it the JSON from which a later run goes on.

    Raises:
        LandbridgeError: the disk is full or not writable.
    """
    content = {
        name: {
            "device": verdicts.device,
            "machine": verdicts.machine,
            "date": verdicts.date,
            "outcomes": {law: _fields(outcome) for law, outcome in verdicts.outcomes.items()},
        }
        for name, verdicts in sorted(known.items())
    }
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        replace_file(data_file(page), (json.dumps(content, indent=1) + "\n").encode())
        replace_file(page, markdown(known).encode())
    except OSError as error:
        raise LandbridgeError(f"cannot write {page}: {error.strerror}") from None


def markdown(known: dict[str, Verdicts]) -> str:
    """The page."""
    names = sorted(known)
    parts = [_INTRODUCTION]
    parts += [
        f"- `{name}`: measured {known[name].date} on device {known[name].device} of {known[name].machine}."
        for name in names
    ]
    parts.append(
        f"\n| law | robots | unit | {' | '.join(f'`{name}`' for name in names)} |\n|{'---|' * (3 + len(names))}"
    )
    for law in LAWS:
        found = [known[name].outcomes.get(law.name) for name in names]
        unit = next((one.measurement.unit for one in found if one and one.measurement), "")
        robots = f"{law.setup.num_envs} x {law.setup.robot.name}"
        parts.append(f"| [{law.name}](#laws) | {robots} | {unit} | {' | '.join(map(_cell, found))} |")
    parts.append("\n## Laws\n")
    for law in LAWS:
        outcomes = (known[name].outcomes.get(law.name) for name in names)
        reason = next((one.measurement.reason for one in outcomes if one and one.measurement), "not measured")
        parts.append(f"- **{law.name}**: {law.statement} Tolerance: {reason}.")
    failures = [
        f"- `{name}`, {law}: {outcome.failure}"
        for name in names
        for law, outcome in known[name].outcomes.items()
        if outcome.failure
    ]
    if failures:
        parts += ["\n## Errors\n", *failures]
    return "\n".join(parts) + "\n"


def _row(name: str, verdicts: Verdicts) -> Row:
    measured, broken = verdicts.measured, verdicts.broken
    kept = len(measured) - len(broken)
    share = kept / len(measured) if measured else float("nan")
    missing = len(verdicts.outcomes) - len(measured)
    note = f"broken: {', '.join(broken) or 'none'}; not offered: {missing}; measured {verdicts.date}"
    return Row(name, kept, len(measured), "laws", Spread(share, share, share), Aim(1.0), note)


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not measured"
    if outcome.measurement is None:
        return outcome.not_offered or "**error**"
    measured = outcome.measurement
    text = f"{measured.deviation:.2g} / {measured.tolerance:.2g}"
    return text if measured.holds else f"**broken: {text}**"


def _fields(outcome: Outcome) -> dict[str, Any]:
    fields = {"not_offered": outcome.not_offered, "failure": outcome.failure}
    return {**fields, "measurement": outcome.measurement and asdict(outcome.measurement)}


def _outcome(law: Law, fields: dict[str, Any]) -> Outcome:
    measured = fields["measurement"]
    return Outcome(law, measured and Measurement(**measured), fields["not_offered"], fields["failure"])
