"""`landbridge sweep BUNDLE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

_WIDTH_OF_A_FILE = 120  # characters, where the output goes to a file or pipe


@dataclass(frozen=True)
class Sweep:
    """Find out how far a robot may differ from those of training before a bundle's policy fails, and in what.

    Runs the exported graph itself. Takes each randomised parameter alone past its training range, in levels on both
    sides, and says where the policy starts to fail and what margin that leaves; then varies all of them at once and
    ranks what breaks it (Morris' elementary effects). Writes sweep.json and pictures, and with --write-card a copy of
    the bundle whose card has the margins. docs/sweep.md says what the figures mean.

    Distances are in halves of a parameter's training range, from its middle: 1 is the end of that range.

    Examples:
        landbridge sweep go2-velocity-flat
        landbridge sweep runs/my-policy/bundle --write-card --out runs/my-policy/sweep
        landbridge sweep cartpole --parameters motor_strength,kp_factor --reach 10 --trajectories 0
        landbridge sweep my-policy.zip --others nominal --repeats 32 --json > sweep.json
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""
    parameters: str = ""
    """Parameters, separated by commas; by default all that can be varied."""
    randomisation: Path | None = None
    """Randomisation file whose ranges are the measure; by default the one that the bundle was trained with."""
    others: Literal["training", "nominal"] = "training"
    """What all else is meanwhile: randomised as in training, or nominal."""
    levels: int = 4
    """Levels of each parameter on each side of the middle."""
    reach: float = 4.0
    """How far the levels go."""
    repeats: int = 16
    """Episodes of each level."""
    share: float = 0.8
    """Share of successes below which the policy counts as failing."""
    trajectories: int = 10
    """Trajectories of the joint design, of one point more than there are parameters and chance; 0 for none."""
    joint_reach: float = 1.5
    """How far the parameters go jointly."""
    joint_repeats: int = 4
    """Episodes of each point of the joint design."""
    engine: str = "mujoco_cpu"
    """Physics engine, one of `landbridge list engines`."""
    device: str = "auto"
    """cpu, cuda:0, or auto: a GPU where an engine can use one."""
    seed: int = 0
    """Of randomisation, initial states, noise and the joint design."""
    out: Path | None = None
    """Folder for sweep.json and pictures; by default runs/sweep-DATE-TIME."""
    write_card: bool = False
    """Write a copy of the bundle with the margins in its card, into `bundle` in that folder. It is not signed."""
    json: bool = False
    """Print sweep.json instead of tables."""
    threads: int | None = None
    """Physics threads; by default one a core."""

    def run(self) -> int:
        """Exit code 0.

        Raises:
            BundleError: the bundle cannot be run, or its copy not be written.
            UsageError: a parameter is unknown or cannot be varied, or a figure makes no sense.
        """
        import json
        from datetime import datetime

        from rich.console import Console

        from domain_rand import file
        from landbridge.shipped import find
        from policies.counted import counted
        from policies.sweep import report
        from policies.sweep.result import Settings
        from policies.sweep.run import sweep

        out = self.out or Path("runs") / f"sweep-{datetime.now():%Y%m%d-%H%M%S}"
        settings = Settings(
            parameters=tuple(name.strip() for name in self.parameters.split(",") if name.strip()),
            others=self.others,
            levels=self.levels,
            reach=self.reach,
            repeats=self.repeats,
            share=self.share,
            trajectories=self.trajectories,
            joint_reach=self.joint_reach,
            joint_repeats=self.joint_repeats,
        )
        bundle = find(self.bundle)
        randomisation = None if self.randomisation is None else file.read(self.randomisation)
        with counted("sweeping", "steps") as progress:
            result = sweep(
                bundle,
                settings,
                randomisation=randomisation,
                engine=self.engine,
                seed=self.seed,
                threads=self.threads,
                device=self.device,
                progress=progress,
            )
        report.save(result, out)
        copy = report.write_card(result, out / "bundle") if self.write_card else None
        if self.json:
            print(json.dumps(report.to_json(result), indent=1))
            return 0
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH_OF_A_FILE)
        report.show(result, console)
        if copy is not None:
            dropped = "; the signature was dropped, `landbridge sign` makes a new one" if result.was_signed else ""
            console.print(f"bundle with the margins in its card: {copy}{dropped}", markup=False, soft_wrap=True)
        console.print(f"pictures: {out}", markup=False, soft_wrap=True)
        return 0
