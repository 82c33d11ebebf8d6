"""The emulated robot as a process of its own: real time, a bus, ground truth on exit.

    python -m hil_tests.emulated_robot --robot unitree_go2 --port 6210 --seed 3 --log truth.npz
    python -m hil_tests.emulated_robot --robot unitree_go2 --protocol unitree --address lo:7

It knows nothing of policies or ROS. It ends on SIGINT or SIGTERM, and then writes its log.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tyro

from contract import robots
from contract.errors import LandbridgeError
from contract.robot import Robot
from deploy_robot.drivers.emulated_bus import DEFAULT_PORT
from deploy_robot.drivers.unitree_go2_address import parse_address
from deploy_robot.process import StopSignal, ask_for_real_time, freeze_garbage, run_process
from deploy_robot.ring_log import save_npz
from hil_tests.robot_bus import Codec, Link, UdpCodec, UdpLink
from hil_tests.robot_emulation import EmulationConfig, RobotEmulation
from hil_tests.robot_process import READY, Protocol

_MAX_LAG = 0.1  # s behind real time after which the lost time is given up instead of caught up


@dataclass(frozen=True)
class EmulatedRobotConfig:
    """An emulated robot on this machine."""

    robot: str = "unitree_go2"
    """Robot description."""
    protocol: Protocol = "udp"
    """What it speaks: the UDP bus of emulated robots, or a Unitree Go2's DDS topics."""
    port: int = DEFAULT_PORT
    """UDP port for commands; states go to the next one."""
    address: str = "lo"
    """Network interface of protocol unitree; INTERFACE:DOMAIN where the DDS domain is not 0."""
    seed: int = 0
    """Seed of the hidden parameters and of the sensor noise."""
    log: Path | None = None
    """Where to write the ground truth (npz) at the end."""
    priority: int = 60
    """Real-time priority to ask the system for, above that of the nodes: a real robot needs none of their time."""
    emulation: EmulationConfig = field(default_factory=EmulationConfig)
    """How the robot behaves."""


@dataclass
class Timing:
    """How well the process kept real time."""

    ticks: int = 0
    late_ticks: int = 0  # started more than one timestep after their time
    lost_time: float = 0.0  # s that were given up
    wall_time: float = 0.0  # s, from the start of the first tick to that of the last

    def report(self, timestep: float) -> dict[str, float]:
        """Share of late ticks, simulated over real time between the first tick and the last, and lost time."""
        simulated = (self.ticks - 1) * timestep
        return {
            "late_share": self.late_ticks / max(self.ticks, 1),
            "real_time_factor": simulated / self.wall_time if self.wall_time > 0.0 else 1.0,
            "lost_time": self.lost_time,
        }


Bus = tuple[Link, Codec]


def serve(config: EmulatedRobotConfig, stop: StopSignal, around: Callable[[Bus], Bus] = lambda bus: bus) -> None:
    """Play the robot until a stop signal; then write the log.

    Args:
        config: which robot.
        stop: ends it.
        around: what shall stand between the robot and its bus.

    Raises:
        UsageError: unknown robot, impossible port or address, or a robot that does not speak that protocol.
        LandbridgeError: the bus cannot be joined, the physics diverged, or the log cannot be written.
    """
    robot = robots.load(config.robot)
    link, codec = around(_open_bus(config, robot))
    emulation = RobotEmulation(robot, config.emulation, config.seed, codec)
    timing = Timing()
    ask_for_real_time(config.priority)
    freeze_garbage()
    print(f"{READY} {robot.title} on {link}, seed {config.seed}", flush=True)
    try:
        _run(emulation, link, timing, stop)
    finally:
        link.close()
        report = {
            "robot": config.robot,
            "seed": config.seed,
            "hidden": asdict(emulation.hidden),
            "emulation": asdict(config.emulation),
            "timing": timing.report(emulation.timestep),
            "rejected_frames": emulation.rejected_frames,
            "watchdog_trips": emulation.watchdog_trips,
        }
        if config.log is not None:
            save_npz(config.log, emulation.ground_truth() | {"report": json.dumps(report)})
        print(
            "real-time factor {real_time_factor:.3f}, {late_share:.2%} of ticks late, {lost_time:.3f} s lost".format(
                **timing.report(emulation.timestep)
            ),
            flush=True,
        )


def _open_bus(config: EmulatedRobotConfig, robot: Robot) -> Bus:
    if config.protocol == "udp":
        return UdpLink(config.port), UdpCodec()
    address = parse_address(config.address)
    try:
        from hil_tests.unitree_bus import UnitreeCodec, UnitreeLink
    except ModuleNotFoundError as error:
        raise LandbridgeError(
            f"protocol unitree needs {error.name}, which is not installed: pip install 'landbridge[unitree]'"
        ) from None
    return UnitreeLink(address), UnitreeCodec(robot)


def _run(emulation: RobotEmulation, link: Link, timing: Timing, stop: StopSignal) -> None:
    """Tick at absolute deadlines on the steady clock; tick k has the time of its deadline."""
    start = deadline = time.monotonic()
    while not stop.received:
        lag = time.monotonic() - deadline
        if lag < 0.0:
            time.sleep(-lag)
        elif lag > _MAX_LAG:
            timing.lost_time += lag
            deadline += lag
        timing.late_ticks += lag > emulation.timestep
        timing.wall_time = time.monotonic() - start
        for datagram in emulation.tick(deadline, link.receive()):
            link.send(datagram)
        timing.ticks += 1
        deadline += emulation.timestep


def main() -> int:
    """Entry point of `python -m hil_tests.emulated_robot`."""
    config = tyro.cli(EmulatedRobotConfig, prog="python -m hil_tests.emulated_robot")
    return run_process(lambda stop: serve(config, stop))


if __name__ == "__main__":
    sys.exit(main())
