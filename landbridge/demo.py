"""`landbridge demo`."""

from dataclasses import dataclass
from pathlib import Path

_INTERRUPTED = 130  # 128 + SIGINT, as shells count it


@dataclass(frozen=True)
class Demo:
    """Train a walking robot from nothing, check it, run it over ROS 2, and write a report with a film.

    Trains a Unitree Go2 under domain randomisation, exports the bundle, checks it in simulation, runs it over ROS 2 for
    some seconds against an emulated robot, and leaves report.html, walk.mp4 and the bundle in OUT.

    Exit code 0 only if the robot really walked: velocity error below 0.25 m/s, no falls, no monitor trips, and every
    bar of the check holds. Else 1; the report then shows what there is. 130 where interrupted.

    Examples:
        landbridge demo
        landbridge demo --pretrained
        landbridge demo --minutes 20 --seed 3 --out runs/demo-3
    """

    pretrained: bool = False
    """Use the shipped bundle instead of training one."""
    out: Path | None = None
    """Folder for everything that is made; by default runs/demo-DATE-TIME."""
    minutes: float = 10.0
    """Most wall-clock time for training."""
    seconds: float = 20.0
    """How long the policy drives the robot over ROS 2."""
    seed: int = 1
    """Of training, check and emulated robot."""

    def run(self) -> int:
        """Exit code as above; LandbridgeError where not even the report can be written."""
        import os

        # Before torch is loaded: threads that wait must not spin, the physics needs the cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

        import sys
        from datetime import datetime

        from rich.console import Console

        from hil_tests.robot_process import emulated_robot
        from policies import demo

        config = demo.DemoConfig(
            out=self.out or Path("runs") / f"demo-{datetime.now():%Y%m%d-%H%M%S}",
            pretrained=self.pretrained,
            minutes=self.minutes,
            seconds=self.seconds,
            seed=self.seed,
            command_line=("landbridge", *sys.argv[1:]),
        )
        console = Console(highlight=False)
        try:
            return 0 if demo.Demo(config, emulated_robot(self.seed), console).run() else 1
        except demo.DemoInterrupted as stop:
            console.print(str(stop), markup=False, soft_wrap=True)
            return _INTERRUPTED
