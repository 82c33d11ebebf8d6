"""The emulated robot as a process that can be given faults on its bus, and logs every command.

python -m hil_tests.faulty_robot --port 6210 --control control.sock --commands commands.npz

For the rest, see `emulated_robot`.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from deploy_robot.process import StopSignal, run_process
from hil_tests.emulated_robot import Bus, EmulatedRobotConfig, serve
from hil_tests.faulty_bus import FaultyBus


@dataclass(frozen=True)
class FaultyRobotConfig:
    """An emulated robot on this machine that can be given faults."""

    control: Path
    """Unix datagram socket that faults are sent to."""
    commands: Path
    """Where to write the commands (npz) at the end."""
    robot: Annotated[EmulatedRobotConfig, tyro.conf.arg(name="")] = field(default_factory=EmulatedRobotConfig)
    """The robot."""


def main() -> int:
    """Entry point of `python -m hil_tests.faulty_robot`."""
    config = tyro.cli(FaultyRobotConfig, prog="python -m hil_tests.faulty_robot")

    def play(stop: StopSignal) -> None:
        buses: list[FaultyBus] = []

        def around(bus: Bus) -> Bus:
            buses.append(FaultyBus(*bus, config.control))
            return buses[0], buses[0]

        try:
            serve(config.robot, stop, around)
        finally:
            for bus in buses:
                bus.save(config.commands)

    return run_process(play)


if __name__ == "__main__":
    sys.exit(main())
