"""`landbridge identify LOG`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Identify:
    """Fit the simulator's parameters to a recording of a robot, and write what training should draw from.

    Simulates short windows of the recording from their beginnings, for many candidates at once, and compares joint
    positions, joint velocities and IMU with what was measured: CMA-ES, then Gauss-Newton. Each parameter comes with an
    interval of 90 % and a verdict; what the recording does not tell is said to be not identifiable, and keeps the
    range that it had before.

    A parameter is NAME for one number of the whole robot, NAME:leg or NAME:component for one each, and may be followed
    by the range to look in, =LOW,HIGH; else it is that of --prior. Writes identification.json, randomisation.json and
    pictures.

    `landbridge excite` makes such a recording, and `landbridge train RECIPE --randomisation FILE` draws from what
    comes out.

    Examples:
        landbridge identify runs/excite/run-20260102-030405.mcap --parameters motor_strength:component action_delay
        landbridge identify log.mcap --base fixed --parameters joint_damping:leg=0,0.5 joint_friction action_delay
    """

    log: Annotated[Path, tyro.conf.Positional]
    """Recording (.mcap) of a whole run."""
    parameters: tuple[str, ...]
    """What to identify: NAME, NAME:PER or NAME:PER=LOW,HIGH; PER is robot, leg or component."""
    robot: str = ""
    """Its description; by default the recorded one."""
    prior: str = "full"
    """What is known before: a preset or a file, as `landbridge train --randomisation` takes it."""
    base: Literal["free", "fixed"] = "free"
    """Whether the robot stood on its feet on flat ground, or hung with its legs in the air."""
    engine: str = "mujoco_cpu"
    """Physics engine."""
    window: float = 0.3
    """Length of the windows, s."""
    physics_dt: float = 0.005
    """Physics step, s: that of training."""
    generations: int = 40
    """Of CMA-ES, at most."""
    seed: int = 0
    """Of CMA-ES."""
    out: Path | None = None
    """Folder for the files; by default runs/identify-DATE-TIME."""
    json: bool = False
    """Print identification.json instead of a table."""
    threads: int | None = None
    """Physics threads; by default one a core."""

    def run(self) -> int:
        """Exit code 0; UsageError for a wrong argument, LandbridgeError where the recording cannot be used."""
        import json
        from datetime import datetime

        from rich.console import Console

        from contract import robots
        from deploy_robot.recording import read_recording
        from domain_rand.identification import report
        from domain_rand.identification.identify import Request, identify
        from domain_rand.identification.replay import Setting
        from domain_rand.identification.search import Effort
        from domain_rand.named import named
        from policies.counted import counted
        from policies.motion_log import motion_log, robot_of

        recording = read_recording(self.log)
        robot = robots.load(self.robot) if self.robot else robot_of(recording)
        request = Request(
            self.parameters,
            named(self.prior),
            self.base,
            self.window,
            Setting(self.engine, self.physics_dt, threads=self.threads),
            Effort(self.generations),
            self.seed,
        )
        out = self.out or Path("runs") / f"identify-{datetime.now():%Y%m%d-%H%M%S}"
        effort = request.effort
        with counted("fitting", "rounds") as show_progress:

            def tell(phase: str, count: int, misfit: float) -> None:
                done = count if phase == "search" else effort.generations + count
                show_progress(done, effort.generations + effort.steps)

            found = identify(motion_log(recording, robot), robot, request, tell)
        report.save(found, out)
        if self.json:
            print(json.dumps(report.to_json(found), indent=1))
        else:
            console = Console(highlight=False)
            report.show(found, console)
            console.print(f"what training reads: {out / report.RANDOMISATION}", markup=False, soft_wrap=True)
        return 0
