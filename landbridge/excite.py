"""`landbridge excite`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_INTERRUPTED = 130  # 128 + SIGINT, as shells count it


@dataclass(frozen=True)
class Excite:
    """Move a robot so that its motion tells of it, and record all of it for `landbridge identify`.

    Chirps, steps and squats about the default pose, within the limits of position, speed and torque. They come from a
    bundle of their own, so that everything is as in `landbridge run`: policy_node plays it, robot_node checks every
    target, the monitors watch, and the black box records the whole run. The robot stands up before and lies down after.

    Exit code 0 if it was moved to the end, and no monitor damped or stopped it; else 1.

    Examples:
        landbridge excite --seconds 60 --seed 7 --out runs/excite
        landbridge excite --robot unitree_go2 --address eth0 --amplitude 0.06 --confirm-hardware
    """

    robot: str = "emulated"
    """How to reach the robot: a driver; `emulated` starts a robot on this machine."""
    description: str = "unitree_go2"
    """Robot description."""
    protocol: Literal["udp", "unitree"] = "udp"
    """What the emulated robot speaks."""
    address: str = ""
    """Where the driver finds a robot that is not emulated."""
    confirm_hardware: bool = False
    """The robot hangs or has room to fall, nobody is near, and I hold its emergency stop: a real robot needs this."""
    seconds: float = 60.0
    """How long it is moved."""
    amplitude: float = 0.12
    """Of chirps and steps, rad."""
    squat: float = 0.25
    """Depth of squats, as a share of the way from the default pose to the rest pose."""
    highest: float = 4.0
    """Highest frequency of the chirps, Hz."""
    seed: int = 0
    """Of the motion, and of the emulated robot's hidden parameters and noise."""
    out: Path | None = None
    """Folder for the recording, the bundle, summary.json and logs; by default runs/excite-DATE-TIME."""
    domain: int | None = None
    """ROS domain; by default one that is free on this machine."""
    port: int | None = None
    """UDP port of the emulated robot; by default one that goes with the domain."""

    def run(self) -> int:
        """Exit code as above, 130 where interrupted; LandbridgeError where it could not be run."""
        from datetime import datetime

        from rich.console import Console

        from contract import robots
        from deploy_robot.session import SessionConfig, run_session
        from deploy_robot.session_display import live_status
        from hil_tests.robot_process import emulated_robot
        from policies.excitation import Excitation, write_excitation

        out = self.out or Path("runs") / f"excite-{datetime.now():%Y%m%d-%H%M%S}"
        excitation = Excitation(self.seconds, self.amplitude, self.squat, highest=self.highest, seed=self.seed)
        bundle = write_excitation(out / "bundle", robots.load(self.description), excitation)
        robot_process = emulated_robot(self.seed, self.protocol) if self.robot == "emulated" else None
        config = SessionConfig(
            bundle,
            out,
            command=(0.0, 0.0, 0.0),
            seconds=self.seconds,
            driver=robot_process.driver if robot_process else self.robot,
            address=self.address,
            domain=self.domain,
            port=self.port,
            confirm_hardware=self.confirm_hardware,
            record=True,
        )
        console = Console(highlight=False)
        with live_status(console, self.seconds) as show:
            summary = run_session(config, robot_process, show)
        for trip in summary.trips:
            console.print(f"{trip['time']:.2f} s  {trip['reaction']}  {trip['message']}", markup=False, soft_wrap=True)
        for recording in sorted(out.glob("run-*.mcap")):
            console.print(f"recorded {recording}", markup=False, soft_wrap=True)
        if summary.interrupted:
            console.print("interrupted")
            return _INTERRUPTED
        severe = [trip for trip in summary.trips if trip["reaction"] in ("damp", "stop")]
        if summary.problem or severe:
            console.print(f"FAILED: {summary.problem or 'a monitor ended the motion'}", markup=False, soft_wrap=True)
            return 1
        console.print(f"moved for {summary.seconds:.1f} s")
        return 0
