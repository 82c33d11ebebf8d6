"""`landbridge gap BUNDLE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Gap:
    """Compare a bundle's policy in two physics engines, and say what is at fault where they part.

    Runs one command sequence in both, closed loop and with recorded targets, and single control periods from equal
    states. Names the signal that parts first, when and how far, and the cause: the contract (joints, signals, gains,
    time), the task (ground, commands, terminations), the physics (which parameter, and how far), or the policy. Writes
    gap.json and pictures.

    Exit code 0 if the gap is within the bars, else 1.

    Examples:
        landbridge gap go2-velocity-flat --from mujoco_cpu --to pybullet
        landbridge gap runs/my-policy/bundle --from mujoco_warp --to mujoco_cpu --seconds 4
        landbridge gap go2-velocity-flat --from mujoco_cpu --to pybullet --json > gap.json
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""
    to: str
    """Engine that is compared, one of `landbridge list engines`."""
    from_: Annotated[str, tyro.conf.arg(name="from")] = "mujoco_cpu"
    """Engine that it is compared with: the one that the policy was trained in."""
    seconds: float | None = None
    """Length of each leg of the course; by default what the task needs to settle and a second more."""
    seed: int = 0
    """Of the initial state, sensor noise and random states."""
    out: Path | None = None
    """Folder for gap.json and pictures; by default runs/gap-DATE-TIME."""
    json: bool = False
    """Print gap.json instead of tables."""
    threads: int | None = None
    """Physics threads; by default one a core."""
    device: str = "auto"
    """cpu, cuda:0, or auto: a GPU where an engine can use one."""

    def run(self) -> int:
        """Exit code as above; BundleError where the bundle cannot be run at all."""
        import json
        from datetime import datetime

        from rich.console import Console

        from landbridge.shipped import find
        from policies.counted import counted
        from policies.gap import report as gap_report
        from policies.gap.measure import measure

        out = self.out or Path("runs") / f"gap-{datetime.now():%Y%m%d-%H%M%S}"
        with counted("comparing", "steps") as progress:
            gap = measure(
                find(self.bundle),
                self.from_,
                self.to,
                leg_seconds=self.seconds,
                seed=self.seed,
                threads=self.threads,
                device=self.device,
                progress=progress,
            )
        gap_report.save(gap, out)
        if self.json:
            print(json.dumps(gap_report.to_json(gap.result), indent=1))
        else:
            console = Console(highlight=False)
            gap_report.show(gap.result, console)
            console.print(f"pictures: {out}", markup=False, soft_wrap=True)
        return 0 if gap.result.passed else 1
