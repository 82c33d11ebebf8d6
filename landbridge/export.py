"""`landbridge export RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Export:
    """Export a training run, finished or not, as a policy bundle.

    Takes the newest checkpoint. The bundle is written only if the exported graph, run by onnxruntime, does what the
    trained controller does.

    Examples:
        landbridge export runs/go2-velocity-flat/2026-05-04_12-30-00
        landbridge export runs/go2-velocity-flat/2026-05-04_12-30-00 --out my-policy --check
    """

    training_run: Annotated[Path, tyro.conf.Positional]
    """Directory that `landbridge train` made."""
    out: Path | None = None
    """Directory of the bundle; by default RUN/bundle."""
    check: bool = False
    """Check the bundle in simulation, and write the verdict into its card."""

    def run(self) -> int:
        """Exit code: 0; 1 where the bundle was checked and is not as good as its task asks for."""
        from policies import packaging
        from policies.progress import NotesOnly

        bundle = packaging.package_run(self.training_run, self.out or self.training_run / "bundle", NotesOnly())
        print(f"bundle: {bundle}")
        if not self.check:
            return 0

        from rich.console import Console

        from policies import check_report
        from policies.counted import counted
        from policies.evaluation import evaluate

        with counted("checking", "steps") as progress:
            check = evaluate(bundle, progress=progress)
        check_report.show(check.result, Console(highlight=False))
        packaging.with_check(check)
        return 0 if check.result.passed else 1
