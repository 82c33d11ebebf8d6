"""How to start an emulated robot that can be given faults. Imports no physics, so that a session can use it."""

from dataclasses import replace
from pathlib import Path

from deploy_robot.stack import RobotProcess
from hil_tests.robot_process import Protocol, emulated_robot

_PLAIN, _FAULTY = "hil_tests.emulated_robot", "hil_tests.faulty_robot"


def faulty_robot(seed: int, control: Path, commands: Path, protocol: Protocol = "udp") -> RobotProcess:
    """As `emulated_robot`.

    Args:
        seed: of its hidden parameters and its noise.
        control: socket that it takes faults from; see `faulty_bus.send_fault`.
        commands: npz for every command and the time at which it arrived, written at the end.
        protocol: what it speaks.
    """
    plain = emulated_robot(seed, protocol)

    def argv(robot: str, address: str, truth: Path) -> list[str]:
        program = [_FAULTY if part == _PLAIN else part for part in plain.argv(robot, address, truth)]
        return [*program, "--control", str(control), "--commands", str(commands)]

    return replace(plain, argv=argv)
