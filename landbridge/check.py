"""`landbridge check BUNDLE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Check:
    """Run a bundle in simulation over a grid of commands, and give a verdict.

    Runs the exported graph itself, in onnxruntime, on robots that are randomised more widely than in training. Measures
    tracking error, falls, cost of transport, and the margins of torque and velocity. Writes check.json, pictures, and
    recordings of a typical episode and of falls, which `landbridge video` turns into films.

    Exit code 0 if the bundle is as good as its task asks for, else 1.

    Examples:
        landbridge check go2-velocity-flat.zip
        landbridge check runs/my-policy/bundle --episodes 40 --seed 7 --out runs/my-policy/check
        landbridge check go2-velocity-flat.zip --json > check.json
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""
    episodes: int | None = None
    """Episodes of each command; by default what the task asks for."""
    seed: int = 0
    """Of randomisation, initial states and noise."""
    out: Path | None = None
    """Folder for check.json, pictures and recordings; by default runs/check-DATE-TIME."""
    json: bool = False
    """Print check.json instead of tables."""
    threads: int | None = None
    """Physics threads; by default one a core."""

    def run(self) -> int:
        """Exit code as above; BundleError where the bundle cannot be checked at all."""
        import json
        from datetime import datetime

        from rich.console import Console

        from landbridge.shipped import find
        from policies import check_report
        from policies.counted import counted
        from policies.evaluation import evaluate

        out = self.out or Path("runs") / f"check-{datetime.now():%Y%m%d-%H%M%S}"
        with counted("checking", "steps") as progress:
            check = evaluate(
                find(self.bundle), episodes=self.episodes, seed=self.seed, threads=self.threads, progress=progress
            )
        check_report.save(check, out)
        if self.json:
            print(json.dumps(check_report.to_json(check.result), indent=1))
        else:
            console = Console(highlight=False)
            check_report.show(check.result, console)
            console.print(f"pictures and recordings: {out}", markup=False, soft_wrap=True)
        return 0 if check.result.passed else 1
