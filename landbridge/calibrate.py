"""`landbridge calibrate BUNDLE --false-trips-per-hour X`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from policies.calibration import Calibration

_WIDTH_OF_A_FILE = 120  # characters, where the output goes to a file or pipe


@dataclass(frozen=True)
class Calibrate:
    """Set the thresholds of a bundle's safety monitors from what its policy does in simulation.

    Runs the exported graph on robots that are randomised as in training, records how far each constraint's figure goes,
    and tightens each threshold as far as the false trips that you accept allow. Writes a new bundle with these
    thresholds in its contract; nothing is ever loosened, and the old bundle stays as it is. A signature is of the old
    bundle alone: sign the new one again.

    The rate is of the whole robot, and is promised with 95 % confidence for the simulation alone: see
    docs/calibration.md.

    Examples:
        landbridge calibrate go2-velocity-flat --false-trips-per-hour 2
        landbridge calibrate runs/my-policy/bundle --false-trips-per-hour 0.5 --out runs/my-policy/calibrated
        landbridge calibrate my-policy.zip --false-trips-per-hour 10 --minutes 60 --json
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""
    false_trips_per_hour: float
    """At most so many an hour of the policy driving, all constraints together."""
    minutes: float | None = None
    """Minutes of robot time to simulate; by default about twice what that rate takes, ten hours for a rate of one."""
    engine: str = "mujoco_cpu"
    """Physics engine, one of `landbridge list engines`."""
    device: str = "auto"
    """cpu, cuda:0, or auto: a GPU where an engine can use one."""
    seed: int = 0
    """Of randomisation, commands, initial states and noise."""
    out: Path | None = None
    """Folder of the new bundle; by default runs/calibrate-DATE-TIME/bundle."""
    json: bool = False
    """Print the outcome as JSON instead of a table."""
    threads: int | None = None
    """Physics threads; by default one a core."""

    def run(self) -> int:
        """Exit code 0.

        Raises:
            BundleError: the bundle cannot be run, or the new one not be written.
            UsageError: the rate cannot be promised from so little robot time, or makes no sense.
        """
        import json
        from dataclasses import asdict
        from datetime import datetime

        from rich.console import Console

        from landbridge.shipped import find
        from policies.calibration import calibrate, summary
        from policies.counted import counted

        out = self.out or Path("runs") / f"calibrate-{datetime.now():%Y%m%d-%H%M%S}" / "bundle"
        with counted("calibrating", "steps") as progress:
            result = calibrate(
                find(self.bundle),
                out,
                false_trips_per_hour=self.false_trips_per_hour,
                minutes=self.minutes,
                engine=self.engine,
                seed=self.seed,
                threads=self.threads,
                device=self.device,
                progress=progress,
            )
        if self.json:
            print(json.dumps({**asdict(result), "out": str(out)}, indent=1))
            return 0
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH_OF_A_FILE)
        console.print(_table(result))
        for sentence in (*_notes(result, out), summary(result), f"new bundle: {out}"):
            console.print(sentence, markup=False, soft_wrap=True)
        return 0


def _table(result: "Calibration") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("constraint", no_wrap=True)
    for column in ("old", "new", "trips/h", "at most", "margin"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit")
    for row in result.rows:
        margin = "-" if row.margin != row.margin else f"{min(row.margin, 1.0):.0%}"  # a figure below zero is no nearer
        new = f"{row.new:.4g}" if row.new < row.old else "as it was"
        table.add_row(row.name, f"{row.old:.4g}", new, f"{row.per_hour:.3g}", f"{row.bound:.3g}", margin, row.unit)
    return table


def _notes(result: "Calibration", out: Path) -> list[str]:
    """What a reader must know beside the table."""
    notes = []
    loud = [row.name for row in result.rows if not row.promised]
    if loud:
        notes.append(
            f"not covered by the promise, since the limit as it was trips more often already: {', '.join(loud)}"
        )
    if result.not_judged:
        notes.append(f"not judged in simulation: {', '.join(result.not_judged)}")
    if result.not_randomised:
        notes.append(f"{result.engine} cannot randomise {', '.join(result.not_randomised)}: left at nominal values")
    if result.falls:
        notes.append(f"{result.falls} episodes ended in a fall; the second before it is not counted")
    if result.was_signed:
        notes.append(f"the signature is of the old bundle and was dropped: landbridge sign {out} --key FILE")
    return notes
