"""`landbridge train RECIPE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

INTERRUPTED = 130  # 128 + SIGINT, as shells count it


@dataclass(frozen=True)
class Train:
    """Train a policy in simulation and export it as a bundle.

    Writes config.json, provenance.json, randomisation.json, metrics.jsonl, TensorBoard logs and checkpoints to
    OUT/RECIPE/TIME, and at the end the policy bundle to OUT/RECIPE/TIME/bundle.
    Ctrl-C saves a checkpoint and ends with exit code 130; --resume goes on from there, bit for bit.

    Any setting of the recipe can be changed after `--`; `landbridge train RECIPE -- --help` lists them.

    Examples:
        landbridge train go2-velocity-flat
        landbridge train go2-velocity-flat --num-envs 1024 --steps 8000000 --seed 3
        landbridge train go2-velocity-flat --engine mujoco_warp --device cuda:0 --num-envs 4096
        landbridge train go2-velocity-flat --randomisation full
        landbridge train go2-velocity-flat --minutes 5 -- --ppo.entropy-coef 0.01
        landbridge train --resume runs/go2-velocity-flat/2026-05-04_12-30-00
    """

    recipe: Annotated[str, tyro.conf.Positional] = ""
    """Name of the recipe; not needed with --resume."""

    settings: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """After `--`: settings of the recipe."""

    resume: Path | None = None
    """Directory of an earlier run that is to go on."""

    engine: str | None = None
    """Physics engine, one of `landbridge list engines`; by default the recipe's."""

    device: str | None = None
    """cpu, cuda:0, or auto: a GPU where the engine can use one."""

    randomisation: str | None = None
    """A JSON file that says what is randomised, or none, cartpole, quadruped or full; by default the recipe's own."""

    num_envs: int | None = None
    """Environments."""

    steps: int | None = None
    """Budget in control steps of all environments together."""

    minutes: float | None = None
    """Budget in wall-clock minutes; training ends when the first budget is spent."""

    seed: int | None = None
    """Seed of networks, exploration, randomisation and environments."""

    out: Path = Path("runs")
    """Where the run's directory is made."""

    def run(self) -> int:
        """Exit code: 0 when the budget is spent, 130 when interrupted."""
        import os

        # Before torch is loaded: threads that wait must not spin, the physics needs the cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

        import sys

        from contract.errors import UsageError
        from policies import packaging, recipes, training
        from policies.progress import LiveProgress, NotesOnly
        from policies.trainer import Outcome

        command = ["landbridge", *sys.argv[1:]]
        if not self.recipe and self.resume is None:
            raise UsageError(f"train: which recipe? Known are {', '.join(recipes.names())}")
        with LiveProgress(self.recipe or "training") as progress:
            if self.resume is not None:
                trainer = training.go_on(self.resume, self._arguments(), command, progress)
            else:
                recipe = recipes.load(self.recipe)
                trainer = training.begin(recipe, self._arguments(), self.out, command, progress)
            progress.note(f"training in {trainer.directory}; Ctrl-C saves and stops")
            outcome = trainer.train()
        if outcome is Outcome.INTERRUPTED:
            again = f"landbridge train --resume {trainer.directory}"
            print(f"saved after iteration {trainer.iteration}; go on with: {again}")
            return INTERRUPTED
        trainer.env.close()
        print(f"trained for {trainer.steps:,} steps in {trainer.seconds / 60:.1f} minutes: {trainer.directory}")
        bundle = packaging.package_run(trainer.directory, trainer.directory / "bundle", NotesOnly())
        print(f"bundle: {bundle}; next: landbridge check {bundle}")
        return 0

    def _arguments(self) -> tuple[str, ...]:
        named = {
            "--engine": self.engine,
            "--device": self.device,
            "--randomisation": self.randomisation,
            "--num-envs": self.num_envs,
            "--train.steps": self.steps,
            "--train.minutes": self.minutes,
            "--seed": self.seed,
        }
        chosen = [(name, str(value)) for name, value in named.items() if value is not None]
        return (*(word for pair in chosen for word in pair), *self.settings)
