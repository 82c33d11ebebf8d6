"""`landbridge emulate ROBOT`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Emulate:
    """Play a robot on this machine: physics at 1 kHz in real time, motors, sensors, and the robot's own bus.

    It runs until Ctrl-C. `landbridge run` starts one by itself; this is for controllers of your own, which
    talk to it over the UDP bus that deploy_robot/drivers/emulated_bus.py describes. The seed draws what no
    controller knows: mass, centre of mass, friction, motor strength, and sensor errors.

    Examples:
        landbridge emulate unitree_go2
        landbridge emulate unitree_go2 --seed 7 --port 6220 --log truth.npz
    """

    robot: Annotated[str, tyro.conf.Positional]
    """Robot description; `landbridge list` names them."""
    port: int = 6210
    """UDP port for commands; the states go to the next one."""
    seed: int = 0
    """Of the hidden parameters and the sensor noise."""
    log: Path | None = None
    """Where to write the ground truth at the end (npz)."""

    def run(self) -> int:
        """Exit code 0 when stopped; LandbridgeError where the port is in use or the log cannot be written."""
        from deploy_robot.process import StopSignal
        from hil_tests.emulated_robot import EmulatedRobotConfig, serve

        with StopSignal() as stop:
            serve(EmulatedRobotConfig(self.robot, self.port, self.seed, self.log), stop)
        return 0
