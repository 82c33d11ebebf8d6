"""How to start the emulated robot as a process. Imports no physics, so that a session can use it."""

import sys
from pathlib import Path
from typing import Literal

from deploy_robot.stack import EMULATED, RobotProcess

Protocol = Literal["udp", "unitree"]
"""What an emulated robot speaks: a UDP bus of its own, or a Unitree Go2's DDS topics."""

READY = "ready:"
"""What the process prints first once the robot is on its bus."""


def emulated_robot(seed: int, protocol: Protocol = "udp") -> RobotProcess:
    """The emulated robot with the hidden parameters and the noise of `seed`."""
    place, driver = {"udp": ("--port", EMULATED), "unitree": ("--address", "unitree_go2")}[protocol]

    def argv(robot: str, address: str, truth: Path) -> list[str]:
        program = [sys.executable, "-m", "hil_tests.emulated_robot", "--robot", robot, "--protocol", protocol]
        return [*program, place, address, "--seed", str(seed), "--log", str(truth)]

    return RobotProcess(argv, READY, driver)
