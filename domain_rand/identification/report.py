"""What identification found, for humans and for programs: a table, pictures, JSON, and a randomisation file."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from contract.storage import replace_file
from domain_rand import file
from domain_rand.identification.identify import Identification

RESULT, RANDOMISATION = "identification.json", "randomisation.json"

_UNITS = {"joint_pos": "rad", "joint_vel": "rad/s", "gyro": "rad/s", "tilt": "1"}
_SHOWN = 12  # windows of a trace


def show(found: Identification, console: Console) -> None:
    """Print the table."""
    console.print(f"{found.log}: {found.seconds:.1f} s of a {found.robot}, {found.windows} windows", markup=False)
    table = Table("parameter", "unit", "estimate", "90 % interval", "prior", "verdict", box=None, pad_edge=False)
    for finding in found.findings:
        table.add_row(
            finding.name.replace("[", "\\["),
            finding.unit,
            f"{finding.estimate:.4g}",
            f"{finding.low:.4g} to {finding.high:.4g}",
            f"{finding.prior_low:.4g} to {finding.prior_high:.4g}",
            finding.verdict,
        )
    console.print(table)
    for sentence in found.open:
        console.print(f"open: {sentence}", markup=False)
    console.print(
        f"residuals {found.misfit:.2f} times the sensors' noise, {found.misfit_before:.2f} in the middle of the prior"
    )


def to_json(found: Identification) -> dict[str, object]:
    """Everything but the samples."""
    return {
        "log": found.log,
        "robot": found.robot,
        "seconds": found.seconds,
        "windows": found.windows,
        "noise": asdict(found.noise),
        "misfit": found.misfit,
        "misfit_before": found.misfit_before,
        "findings": [asdict(finding) for finding in found.findings],
        "open": list(found.open),
        "randomisation": file.content(found.randomisation),
    }


def save(found: Identification, folder: Path) -> None:
    """Write JSON, the randomisation file and pictures to `folder`; OSError where that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / RESULT, (json.dumps(to_json(found), indent=1) + "\n").encode())
    file.write(folder / RANDOMISATION, found.randomisation)
    _plot_residuals(found, folder / "residuals.png")
    _plot_intervals(found, folder / "intervals.png")


def _plot_residuals(found: Identification, path: Path) -> None:
    """For each signal the channel that is simulated worst, over the first windows, and all residuals' spread."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 2.6 * len(found.signals)), layout="constrained")
    axes = figure.subplots(len(found.signals), 2, squeeze=False, width_ratios=(3.0, 1.0))
    for row, (name, columns) in zip(axes, found.signals.items(), strict=True):
        residual = (found.simulated - found.measured)[..., columns]
        worst = int(np.nan_to_num((residual**2).mean(axis=(0, 1)), nan=np.inf).argmax())
        row[0].set_title(f"{name}, channel {worst}, the worst", fontsize=9)
        for window in range(min(_SHOWN, found.windows)):
            time = found.time[window] - found.time[0, 0]
            first = window == 0
            row[0].plot(
                time, found.measured[window][:, columns][:, worst], "k.", ms=2, label="measured" if first else None
            )
            row[0].plot(
                time, found.simulated[window][:, columns][:, worst], "C1", lw=1, label="simulated" if first else None
            )
        row[0].set_xlabel("s")
        row[0].set_ylabel(_UNITS[name])
        row[0].legend(fontsize=8)
        row[1].hist(residual[np.isfinite(residual)], bins=60, color="C1")
        row[1].set_xlabel(f"simulated - measured, {_UNITS[name]}")
        row[1].set_yticks([])
    figure.savefig(path, dpi=100)


def _plot_intervals(found: Identification, path: Path) -> None:
    """Each interval within the prior's range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 1.2 + 0.28 * len(found.findings)), layout="constrained")
    axes = figure.subplots()
    for i, finding in enumerate(found.findings):
        low, width = finding.prior_low, finding.prior_high - finding.prior_low
        ends = [(value - low) / width for value in (finding.low, finding.high)]
        colour = "C0" if finding.identified else "0.7"
        axes.plot(ends, [i, i], color=colour, lw=5, solid_capstyle="butt")
        axes.plot((finding.estimate - low) / width, i, "k|", ms=10)
    axes.set_yticks(range(len(found.findings)), [finding.name for finding in found.findings], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("share of the prior's range; blue: identified")
    figure.savefig(path, dpi=100)
