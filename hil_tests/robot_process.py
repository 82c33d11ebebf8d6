"""How to start the emulated robot as a process. Imports no physics, so that a session can use it."""

import sys
from pathlib import Path

from deploy_robot.stack import RobotProcess

READY = "ready:"
"""What the process prints first once the robot is on its bus."""


def emulated_robot(seed: int) -> RobotProcess:
    """The emulated robot with the hidden parameters and the noise of `seed`."""

    def argv(robot: str, port: int, truth: Path) -> list[str]:
        program = [sys.executable, "-m", "hil_tests.emulated_robot", "--robot", robot, "--port", str(port)]
        return [*program, "--seed", str(seed), "--log", str(truth)]

    return RobotProcess(argv, READY)
