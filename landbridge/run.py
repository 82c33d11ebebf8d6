"""`landbridge run BUNDLE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

_INTERRUPTED = 130  # 128 + SIGINT, as shells count it


@dataclass(frozen=True)
class Run:
    """Run a policy bundle on a robot over ROS 2, under the safety supervisor.

    Starts robot_node (driver and supervisor) and policy_node as processes of their own, and the emulated
    robot as a third; the robot stands up, the policy takes over, follows one velocity command, and the robot
    lies down again. Ends with how well it walked, how long everything took, and every trip of a safety
    monitor. Ctrl-C ends it early and leaves the robot damped.

    Exit code 0 if the robot did not fall, no monitor tripped, and the tracking error is small enough; else 1.

    Examples:
        landbridge run go2-velocity-flat.zip
        landbridge run go2-velocity-flat.zip --robot emulated --seconds 20 --command 0.6,0,0
        landbridge run runs/my-policy/bundle --command 0.3,0.2,-0.5 --seed 7 --out runs/turning
        landbridge run go2-velocity-flat --protocol unitree
        landbridge run go2-velocity-flat --robot unitree_go2 --address eth0 --dry-run
        landbridge run go2-velocity-flat --robot unitree_go2 --address eth0 --confirm-hardware
        landbridge run go2-velocity-flat --listen --domain 7 --seconds 600
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""
    robot: str = "emulated"
    """How to reach the robot: a driver; `emulated` starts a robot on this machine."""
    protocol: Literal["udp", "unitree"] = "udp"
    """What the emulated robot speaks; with unitree, a Go2's DDS topics, driver unitree_go2 reaches it."""
    address: str = ""
    """Where the driver finds a robot that is not emulated; for unitree_go2 the network interface, as in eth0, for
    replay a recording, for ros2_control see docs/drivers.md."""
    confirm_hardware: bool = False
    """The robot hangs or has room to fall, nobody is near, and I hold its emergency stop: a real robot needs this."""
    seconds: float = 20.0
    """How long the policy drives."""
    command: str = "0.5,0,0"
    """Velocity forwards and to the left (m/s) and yaw rate (rad/s), in the base frame: VX,VY,YAW_RATE."""
    max_error: float = 0.25
    """Largest mean tracking error that passes, m/s."""
    seed: int = 0
    """Of the emulated robot's hidden parameters and noise."""
    out: Path | None = None
    """Folder for summary.json, logs and recordings; by default runs/run-DATE-TIME."""
    dry_run: bool = False
    """Shadow mode: read the robot, compute, check and record everything, and never write the robot, which stays in
    the hands of whoever moves it. Needs no --confirm-hardware."""
    listen: bool = False
    """Publish no command: whoever publishes cmd_vel in the ROS domain drives, as `landbridge teleop` does."""
    priority: int | None = None
    """SCHED_FIFO priority of robot_node, ten less for policy_node, where the system permits it; 0 for normal
    scheduling. By default 50."""
    cpus: str = ""
    """Processors that both nodes stay on, such as 2,3 or 2-3; by default all."""
    lock_memory: bool = False
    """Keep every page of both nodes in memory, where the system permits it."""
    freeze_garbage: bool = True
    """Spare what start-up left behind from garbage collection in both nodes."""
    record: bool = False
    """Record the whole run (MCAP); without it, the minute before each trip of a monitor. See `landbridge replay`."""
    domain: int | None = None
    """ROS domain; by default one that is free on this machine."""
    port: int | None = None
    """UDP port of the emulated robot; by default one that goes with the domain."""
    namespace: str = ""
    """ROS namespace of all nodes."""
    trusted_keys: Path | None = None
    """Public keys, one of which must have signed the bundle: a PEM file or a folder of them; by default what
    LANDBRIDGE_TRUSTED_KEYS says."""

    def run(self) -> int:
        """Exit code as above, 130 where interrupted; LandbridgeError where it could not be run."""
        from datetime import datetime

        from rich.console import Console

        from deploy_robot.real_time import Scheduling
        from deploy_robot.session import SessionConfig, run_session
        from deploy_robot.session_display import live_status, print_summary
        from hil_tests.robot_process import emulated_robot
        from landbridge.arguments import velocity_command
        from landbridge.shipped import find

        out = self.out or Path("runs") / f"run-{datetime.now():%Y%m%d-%H%M%S}"
        robot_process = emulated_robot(self.seed, self.protocol) if self.robot == "emulated" else None
        config = SessionConfig(
            find(self.bundle),
            out,
            velocity_command(self.command),
            self.seconds,
            robot_process.driver if robot_process else self.robot,
            self.address,
            self.domain,
            self.port,
            self.namespace,
            self.trusted_keys,
            self.confirm_hardware,
            self.record,
            self.dry_run,
            self.listen,
            Scheduling(self.priority, self.cpus, self.lock_memory, self.freeze_garbage),
        )
        console = Console(highlight=False)
        with live_status(console, self.seconds) as show:
            summary = run_session(config, robot_process, show)
        print_summary(console, summary)
        console.print(f"logs and summary.json in {out}", soft_wrap=True)
        for recording in sorted(out.glob("*.mcap")):
            console.print(f"recorded {recording}", soft_wrap=True)
        if summary.interrupted:
            console.print("interrupted")
            return _INTERRUPTED
        failures = summary.failures(self.max_error)
        console.print(f"FAILED: {'; '.join(failures)}" if failures else "passed", soft_wrap=True)
        return 1 if failures else 0
