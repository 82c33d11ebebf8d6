"""`landbridge emulate ROBOT`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Emulate:
    """Play a robot on this machine: physics at 1 kHz in real time, motors, sensors, and the robot's own bus.

    It runs until Ctrl-C. `landbridge run` starts one by itself; this is for controllers of your own, which
    talk to it over the UDP bus that deploy_robot/drivers/emulated_bus.py describes, or, with `--protocol unitree`,
    as they would to a Go2: over its DDS topics rt/lowstate and rt/lowcmd. The seed draws what no controller knows:
    mass, centre of mass, friction, motor strength, and sensor errors.

    Examples:
        landbridge emulate unitree_go2
        landbridge emulate unitree_go2 --seed 7 --port 6220 --log truth.npz
        landbridge emulate unitree_go2 --protocol unitree --address lo:1
    """

    robot: Annotated[str, tyro.conf.Positional]
    """Robot description; `landbridge list` names them."""
    protocol: Literal["udp", "unitree"] = "udp"
    """What it speaks: a UDP bus, or a Unitree Go2's DDS topics."""
    port: int = 6210
    """UDP port for commands; the states go to the next one."""
    address: str = "lo"
    """Network interface for protocol unitree; INTERFACE:DOMAIN where the DDS domain is not 0, a robot's own."""
    seed: int = 0
    """Of the hidden parameters and the sensor noise."""
    log: Path | None = None
    """Where to write the ground truth at the end (npz)."""

    def run(self) -> int:
        """Exit code 0 when stopped; LandbridgeError where the bus cannot be joined or the log cannot be written."""
        from deploy_robot.process import StopSignal
        from hil_tests.emulated_robot import EmulatedRobotConfig, serve

        with StopSignal() as stop:
            serve(EmulatedRobotConfig(self.robot, self.protocol, self.port, self.address, self.seed, self.log), stop)
        return 0
