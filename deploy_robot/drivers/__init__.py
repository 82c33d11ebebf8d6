"""Robot drivers behind one small interface (`deploy_robot.driver.Driver`)."""

from collections.abc import Callable

from contract.errors import LandbridgeError
from contract.lookup import unknown
from contract.robot import Robot
from deploy_robot.driver import Driver
from deploy_robot.drivers.emulated import EmulatedDriver
from deploy_robot.drivers.replay import ReplayDriver
from deploy_robot.drivers.shadow import ShadowDriver
from deploy_robot.drivers.unitree_go2 import UnitreeGo2Driver


def _ros2_control(robot: Robot, address: str, listen_only: bool = False) -> Driver:
    try:
        from deploy_robot.ros.ros2_control import Ros2ControlDriver
    except ModuleNotFoundError as error:
        raise LandbridgeError(
            f"driver ros2_control needs {error.name}, which is not installed: pip install 'landbridge[ros]', or source"
            " your system's ROS 2 first"
        ) from None
    return Ros2ControlDriver(robot, address, listen_only)


_DRIVERS: dict[str, Callable[[Robot, str], Driver]] = {
    "emulated": EmulatedDriver,
    "replay": ReplayDriver,
    "ros2_control": _ros2_control,
    "unitree_go2": UnitreeGo2Driver,
}

# Drivers that may share their robot with whoever commands it, as long as they only listen.
_LISTENERS: dict[str, Callable[[Robot, str], Driver]] = {
    "ros2_control": lambda robot, address: _ros2_control(robot, address, listen_only=True),
    "unitree_go2": lambda robot, address: UnitreeGo2Driver(robot, address, listen_only=True),
}


def names() -> list[str]:
    """Names of the known drivers, sorted."""
    return sorted(_DRIVERS)


def load(name: str, robot: Robot, address: str = "", dry_run: bool = False) -> Driver:
    """The driver called `name` for `robot`, not yet open.

    Args:
        address: where the robot is, in the driver's own terms; empty for its default. `emulated`: a UDP port.
            `unitree_go2`: a network interface. `ros2_control`: see `ros2_control_address`. `replay`: a recording.
        dry_run: one that reads the robot and cannot write it.

    Raises:
        UsageError: no such driver, or an address that it cannot read.
        LandbridgeError: it needs a library that is not installed.
    """
    if name not in _DRIVERS:
        raise unknown("driver", name, _DRIVERS)
    if dry_run:
        return ShadowDriver(_LISTENERS.get(name, _DRIVERS[name])(robot, address))
    return _DRIVERS[name](robot, address)
