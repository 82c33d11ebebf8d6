"""A robot that is read and never written: what a dry run drives."""

from collections.abc import Callable
from dataclasses import replace
from typing import Self

from deploy_robot.driver import Capabilities, Driver, JointCommand, RobotState


class ShadowDriver:
    """Stands between everything and a driver, and knows no way to write (a `deploy_robot.driver.Driver`).

    Args:
        driver: of the robot. What is kept of it is how to open, read and close it, and not how to write it.
    """

    def __init__(self, driver: Driver) -> None:
        self._open, self._read, self._close = driver.open, driver.read, driver.close
        self._capabilities: Callable[[], Capabilities] = lambda: driver.capabilities
        self.withheld_commands = 0

    @property
    def capabilities(self) -> Capabilities:
        """See `Driver`. Nothing moves that was not moving before."""
        return replace(self._capabilities(), hardware=False)

    def open(self) -> None:
        """See `Driver`."""
        self._open()

    def read(self) -> RobotState | None:
        """See `Driver`."""
        return self._read()

    def write(self, command: JointCommand) -> None:
        """Count the command, and do nothing."""
        self.withheld_commands += 1

    def close(self) -> None:
        """See `Driver`."""
        self._close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
