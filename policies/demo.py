"""The whole way in one go: train, export, check, run over ROS 2, film, report; and whether the robot really walked."""

import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from contract.bundle import read_bundle, zip_bundle
from contract.errors import LandbridgeError
from deploy_robot.session import SessionConfig, run_session
from deploy_robot.session_display import live_status, print_summary
from deploy_robot.session_summary import Summary
from deploy_robot.stack import RobotProcess
from policies import bundles, check_report, packaging, recipes, training
from policies.counted import counted
from policies.evaluation import Check, evaluate
from policies.film import film
from policies.progress import LiveProgress
from policies.recipe import with_arguments
from policies.report import Requirement, Sources, write_report
from policies.stages import Stages
from policies.trainer import Outcome, Trainer

RECIPE = "go2-velocity-flat"
MAX_ERROR = 0.25  # m/s, mean velocity error of the run over ROS 2
_SHARE_WALKED = 0.5  # of the distance that the command asks for; less is standing, whatever the error


class DemoInterrupted(Exception):
    """The user asked to stop; the message says what is kept."""


@dataclass(frozen=True)
class DemoConfig:
    """What the demo does.

    Attributes:
        out: folder for everything that it leaves.
        pretrained: start from the shipped bundle instead of from nothing.
        minutes: most wall-clock time for training.
        seconds: that the policy drives the robot over ROS 2.
        command: vx, vy (m/s) and yaw rate (rad/s) of that run.
        seed: of training, check and emulated robot.
        arguments: settings of the recipe, as after `landbridge train RECIPE --`.
        command_line: of this program, for the bundle's provenance.
    """

    out: Path
    pretrained: bool = False
    minutes: float = 10.0
    seconds: float = 20.0
    command: tuple[float, float, float] = (0.6, 0.0, 0.0)
    seed: int = 1
    arguments: tuple[str, ...] = ()
    command_line: tuple[str, ...] = ("landbridge", "demo")


class Demo:
    """Runs the stages in order; whatever fails, the report shows what there is."""

    def __init__(self, config: DemoConfig, robot_process: RobotProcess, console: Console) -> None:
        self.config = config
        self._robot_process = robot_process
        self._console = console
        self._stages = Stages(console, count=4 if config.pretrained else 5)

    def run(self) -> bool:
        """Whether every stage succeeded and every requirement holds.

        Raises:
            DemoInterrupted: the user stopped it.
            LandbridgeError: the report cannot be written.
        """
        config, stages = self.config, self._stages
        bundle, trained_in = self._bundle()
        check = session = video = None
        if bundle is not None:
            check = stages.run("check in simulation", lambda: self._check(bundle), _check_note)
            session = stages.run("run over ROS 2", lambda: self._session(bundle), _session_note)
        if session is not None:
            video = stages.run("film", self._film, lambda path: f"{path.stat().st_size / 1e6:.1f} MB")
        requirements = self._requirements(check, session)
        sources = Sources(
            bundle=bundle,
            training=trained_in,
            check=config.out / "check" if check else None,
            session=config.out / "run" if session else None,
            video=video,
        )
        title = f"{read_bundle(bundle).contract.task}: from training to a walking robot" if bundle else RECIPE
        report = config.out / "report.html"
        write_report(report, title, sources, requirements, stages.done)
        stages.show()
        passed = all(r.passed for r in requirements) and all(s.passed for s in stages.done)
        self._verdict(passed, requirements, report)
        return passed

    def _bundle(self) -> tuple[Path | None, Path | None]:
        """The bundle to show, shipped or made now, and the directory it was trained in."""
        stages = self._stages
        if self.config.pretrained:
            return stages.run("find the shipped bundle", lambda: bundles.path(RECIPE)), None
        trainer = stages.run("train", self._train, _training_note)
        if trainer is None:
            return None, None
        return stages.run("export", lambda: self._export(trainer)), trainer.directory

    def _train(self) -> Trainer:
        with LiveProgress(RECIPE, self._console) as progress:
            trainer = training.begin(
                recipes.load(RECIPE),
                self._recipe_arguments(),
                self.config.out / "training",
                self.config.command_line,
                progress,
            )
            if trainer.train() is Outcome.INTERRUPTED:
                raise DemoInterrupted(
                    f"interrupted; go on training with: landbridge train --resume {trainer.directory}"
                )
        return trainer

    def _recipe_arguments(self) -> tuple[str, ...]:
        config = self.config
        return ("--train.minutes", str(config.minutes), "--seed", str(config.seed), *config.arguments)

    def _export(self, trainer: Trainer) -> Path:
        recipe = with_arguments(recipes.load(RECIPE), self._recipe_arguments())
        origin = packaging.origin(recipe, trainer, self.config.command_line)
        return packaging.package(recipe, trainer.controller, origin, self.config.out / RECIPE)

    def _check(self, bundle: Path) -> Check:
        with counted("checking", "steps") as progress:
            check = evaluate(bundle, seed=self.config.seed, progress=progress)
        check_report.save(check, self.config.out / "check")
        check_report.show(check.result, self._console)
        if not self.config.pretrained:
            zip_bundle(packaging.with_check(check))
        return check

    def _session(self, bundle: Path) -> Summary:
        config = self.config
        session = SessionConfig(bundle, config.out / "run", config.command, config.seconds)
        with live_status(self._console, config.seconds) as show:
            summary = run_session(session, self._robot_process, show)
        print_summary(self._console, summary)
        if summary.interrupted:
            raise DemoInterrupted(f"interrupted; what was made so far is in {config.out}")
        return summary

    def _film(self) -> Path:
        with counted("drawing", "frames") as progress:
            return film(
                self.config.out / "run", self.config.out / "walk.mp4", workers=os.cpu_count() or 1, progress=progress
            )

    def _requirements(self, check: Check | None, session: Summary | None) -> list[Requirement]:
        found = []
        if check is not None:
            failed = [bar.name for bar in check.result.bars if not bar.passed]
            below = f"below the bar: {', '.join(failed)}" if failed else "every bar holds"
            found.append(Requirement("check in simulation", below, "every bar holds", not failed))
        if session is not None:
            found += session_requirements(session, self.config)
        return found

    def _verdict(self, passed: bool, requirements: list[Requirement], report: Path) -> None:
        for requirement in requirements:
            if not requirement.passed:
                self._console.print(
                    f"{requirement.name}: {requirement.measured}, wanted {requirement.wanted}", style="red"
                )
        word, style = ("PASS: the robot walked", "bold green") if passed else ("FAIL", "bold red")
        self._console.print(word, style=style)
        self._console.print(f"report: {report}", markup=False, soft_wrap=True)


def session_requirements(session: Summary, config: DemoConfig) -> list[Requirement]:
    """What must hold of a run over ROS 2 for the robot to have walked."""
    motion = session.motion
    error = motion.tracking_error if motion else None
    distance, falls = (motion.distance, motion.falls) if motion else (0.0, None)
    wanted = _SHARE_WALKED * config.seconds * (config.command[0] ** 2 + config.command[1] ** 2) ** 0.5
    return [
        Requirement(
            "velocity error over ROS 2",
            "not known" if error is None else f"{error:.3f} m/s",
            f"below {MAX_ERROR:g} m/s",
            error is not None and error < MAX_ERROR,
        ),
        Requirement("distance walked", f"{distance:.2f} m", f"at least {wanted:.2f} m", distance >= wanted),
        Requirement("falls", "not known" if falls is None else str(falls), "none", falls == 0),
        Requirement("monitor trips", str(len(session.trips)), "none", not session.trips),
        Requirement("ran to its end", session.problem or "yes", "yes", not session.problem),
    ]


def _training_note(trainer: Trainer) -> str:
    return f"{trainer.steps / 1e6:.2f} million steps in {trainer.seconds / 60:.1f} minutes"


def _check_note(check: Check) -> str:
    return "every bar holds" if check.result.passed else "below the bar"


def _session_note(summary: Summary) -> str:
    if summary.motion is None:
        raise LandbridgeError("nobody knows how the robot moved: the emulated robot left no truth")
    return f"{summary.motion.distance:.1f} m in {summary.seconds:.0f} s"
