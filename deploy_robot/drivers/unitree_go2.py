"""Driver of a Unitree Go2: the robot's own DDS topics rt/lowstate and rt/lowcmd (docs/unitree_go2.md)."""

import time
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from contract.errors import LandbridgeError, UsageError
from contract.robot import Robot
from deploy_robot.driver import Capabilities, JointCommand, RobotState
from deploy_robot.drivers import unitree_go2_messages as messages
from deploy_robot.drivers.emulated_bus import FrameError
from deploy_robot.drivers.unitree_go2_address import parse_address
from deploy_robot.drivers.unitree_go2_messages import Message

_OPEN_TIMEOUT = 5.0  # s
_LISTEN_TIME = 0.5  # s; a motion service commands the motors hundreds of times a second
_POLL_PERIOD = 0.002  # s


class UnitreeGo2Driver:
    """Speaks to the robot, or to `landbridge emulate unitree_go2 --protocol unitree` (a `deploy_robot.driver.Driver`).

    A state is stamped when it is read, up to 2 ms after it arrived: the robot's clock is not this computer's. A command
    with kp = 0 damps; with kd = 0, too, the motors are limp. What the robot does when commands stop is not published,
    so `capabilities` names no watchdog.

    Args:
        robot: with the joints of a Go2.
        address: network interface to the robot, or INTERFACE:DOMAIN where the DDS domain is not 0.
        listen_only: send nothing, whoever commands the robot; `write` is refused.

    Raises:
        UsageError: another robot, or no such interface or domain.
    """

    def __init__(self, robot: Robot, address: str = "", listen_only: bool = False) -> None:
        if set(robot.joint_names) != set(messages.MOTORS):
            raise UsageError(f"driver unitree_go2: {robot.name} has other joints than a unitree_go2")
        self._motors = np.array([messages.MOTORS.index(name) for name in robot.joint_names])
        self._address = parse_address(address)
        self._listen_only = listen_only
        self._states: Any = None  # reader of rt/lowstate
        self._others: Any = None  # reader of what others send to rt/lowcmd
        self._commands: Any = None  # writer of rt/lowcmd
        self._message = messages.low_cmd()
        self._state: RobotState | None = None
        self.rejected_frames = 0  # samples that were no sound states
        self.foreign_commands = 0  # that somebody else sent to the robot
        self.lost_commands = 0  # that the network had no room for

    @property
    def capabilities(self) -> Capabilities:
        """See `Driver`."""
        return Capabilities(state_rate=500.0, watchdog=None, hardware=True)

    def open(self) -> None:
        """See `Driver`. Refuses a robot that somebody else commands, and one that listens to nobody."""
        try:
            from deploy_robot.drivers import unitree_go2_dds as dds
        except ModuleNotFoundError as error:
            raise LandbridgeError(
                f"driver unitree_go2 needs {error.name}, which is not installed: pip install 'landbridge[unitree]'"
            ) from None
        network = dds.Network(self._address.interface, self._address.domain)
        self._states, self._others = network.reader(dds.LOW_STATE), network.reader(dds.LOW_CMD)
        try:
            self._await(lambda: self.read() is not None, self._no_state)
            self._listen()
            if (robots := self._states.writers()) > 1:
                raise self._error(f"{robots} programs or robots send states, and they cannot be told apart")
            if self._listen_only:
                return
            self._commands = network.writer(dds.LOW_CMD)
            self._await(self._commands.is_heard, lambda: "it sends states but takes no commands on rt/lowcmd")
        except LandbridgeError:
            self.close()
            raise

    def read(self) -> RobotState | None:
        """See `Driver`.

        Raises:
            LandbridgeError: somebody else commands the robot, too.
        """
        if self._states is None:
            raise LandbridgeError("the driver of the unitree_go2 is not open")
        foreign = len(self._others.take())
        self.foreign_commands += foreign
        if foreign and not self._listen_only:
            raise self._error("somebody else commands it: release its motion service, or stop the other program")
        newest = None
        for sample in self._states.take():
            if (message := self._decode(sample)) is not None:
                newest = message
        # The same tick is the same sample, however often it is sent: a robot whose clock stands still has stopped.
        if newest is not None and (self._state is None or int(newest["tick"]) != self._state.seq):
            self._state = self._to_robot_state(newest)
        return self._state

    def write(self, command: JointCommand) -> None:
        """See `Driver`."""
        if self._commands is None:
            raise LandbridgeError("the driver of the unitree_go2 is not open, or only listens")
        motors, index = self._message["motor_cmd"], self._motors
        with np.errstate(over="ignore"):  # beyond float32 is infinite on this bus
            motors["q"][index], motors["dq"][index] = command.joint_target, 0.0
            motors["kp"][index], motors["kd"][index] = command.kp, command.kd
        self.lost_commands += not self._commands.write(messages.encode(self._message))

    def close(self) -> None:
        """See `Driver`."""
        self._states = self._others = self._commands = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _decode(self, sample: bytes) -> Message | None:
        try:
            return messages.decode(sample, messages.LOW_STATE)
        except FrameError:
            self.rejected_frames += 1
            return None

    def _to_robot_state(self, message: Message) -> RobotState:
        motors, imu = message["motor_state"][self._motors], message["imu_state"]
        return RobotState(
            stamp=time.monotonic(),
            seq=int(message["tick"]),
            joint_pos=motors["q"].astype(np.float64),
            joint_vel=motors["dq"].astype(np.float64),
            imu_quat=imu["quaternion"].astype(np.float64),
            gyro=imu["gyroscope"].astype(np.float64),
            joint_torque=motors["tau_est"].astype(np.float64),
            accel=imu["accelerometer"].astype(np.float64),
            temperature=motors["temperature"].astype(np.float64),
            battery=float(message["bms_state"]["soc"]) / 100.0,
        )

    def _await(self, condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
        deadline = time.monotonic() + _OPEN_TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise self._error(complaint())
            time.sleep(_POLL_PERIOD)

    def _error(self, complaint: str) -> LandbridgeError:
        return LandbridgeError(f"unitree_go2 on {self._address}: {complaint} (docs/unitree_go2.md)")

    def _no_state(self) -> str:
        unsound = f"; {self.rejected_frames} samples were unsound" if self.rejected_frames else ""
        return f"no state in {_OPEN_TIMEOUT:g} s{unsound}. Is the robot on, and this computer in its network?"

    def _listen(self) -> None:
        """Let `read` find out whether anybody commands the robot."""
        end = time.monotonic() + _LISTEN_TIME
        while time.monotonic() < end:
            self.read()
            time.sleep(_POLL_PERIOD)
