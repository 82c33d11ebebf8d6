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

    With several engines it is a sim-to-sim gate: the same robots, commands and seeds in each, one table, a folder an
    engine. `landbridge gap` says why one engine differs from another.

    Exit code 0 if the bundle is as good as its task asks for in every engine, else 1.

    Examples:
        landbridge check go2-velocity-flat.zip
        landbridge check go2-velocity-flat --engine mujoco_cpu,mujoco_warp,pybullet
        landbridge check runs/my-policy/bundle --episodes 40 --seed 7 --out runs/my-policy/check
        landbridge check go2-velocity-flat.zip --json > check.json
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""
    engine: str = "mujoco_cpu"
    """Physics engines, separated by commas; `landbridge list engines` shows them."""
    device: str = "auto"
    """cpu, cuda:0, or auto: a GPU where an engine can use one."""
    episodes: int | None = None
    """Episodes of each command; by default what the task asks for."""
    seed: int = 0
    """Of randomisation, initial states and noise."""
    out: Path | None = None
    """Folder for check.json, pictures and recordings; by default runs/check-DATE-TIME."""
    json: bool = False
    """Print check.json instead of tables; of several engines a list."""
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

        engines = _engines(self.engine)
        out = self.out or Path("runs") / f"check-{datetime.now():%Y%m%d-%H%M%S}"
        bundle, results = find(self.bundle), []
        console = Console(highlight=False)
        for engine in engines:
            with counted(f"checking in {engine}", "steps") as progress:
                check = evaluate(
                    bundle,
                    engine=engine,
                    device=self.device,
                    episodes=self.episodes,
                    seed=self.seed,
                    threads=self.threads,
                    progress=progress,
                )
            # Saved one by one: an engine that fails later loses nothing.
            check_report.save(check, out / engine if len(engines) > 1 else out)
            results.append(check.result)
        if self.json:
            documents = [check_report.to_json(result) for result in results]
            print(json.dumps(documents if len(engines) > 1 else documents[0], indent=1))
        else:
            if len(engines) > 1:
                check_report.show_gate(results, console)
            else:
                check_report.show(results[0], console)
            console.print(f"pictures and recordings: {out}", markup=False, soft_wrap=True)
        return 0 if all(result.passed for result in results) else 1


def _engines(listed: str) -> list[str]:
    """The engines of a list with commas, all of them installed.

    Raises:
        UsageError: no engine is named, one is not known, or one is named twice.
        ModuleNotFoundError: one is not installed; its name is that of the missing module.
    """
    from contract.errors import UsageError
    from sim import engines

    names = [name.strip() for name in listed.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"--engine: name each engine once, separated by commas, got '{listed}'")
    for name in names:
        module = engines.missing_module(name)
        if module is not None:
            raise ModuleNotFoundError(f"engine {name} needs {module}", name=module)
    return names
