"""Robot drivers behind one small interface (`deploy_robot.driver.Driver`)."""

from collections.abc import Callable

from contract.lookup import unknown
from contract.robot import Robot
from deploy_robot.driver import Driver
from deploy_robot.drivers.emulated import EmulatedDriver
from deploy_robot.drivers.unitree_go2 import UnitreeGo2Driver

_DRIVERS: dict[str, Callable[[Robot, str], Driver]] = {
    "emulated": EmulatedDriver,
    "unitree_go2": UnitreeGo2Driver,
}


def names() -> list[str]:
    """Names of the known drivers, sorted."""
    return sorted(_DRIVERS)


def load(name: str, robot: Robot, address: str = "") -> Driver:
    """The driver called `name` for `robot`, not yet open.

    Args:
        address: where the robot is, in the driver's own terms; empty for its default. `emulated`: a UDP port.
            `unitree_go2`: a network interface.

    Raises:
        UsageError: no such driver, or an address that it cannot read.
    """
    if name not in _DRIVERS:
        raise unknown("driver", name, _DRIVERS)
    return _DRIVERS[name](robot, address)
