"""Driver of the emulated robot: its UDP bus on this machine."""

import contextlib
import errno
import select
import socket
import time
from typing import Self

from contract.errors import LandbridgeError, UsageError
from contract.robot import Robot
from deploy_robot.driver import Capabilities, JointCommand, RobotState
from deploy_robot.drivers import emulated_bus
from deploy_robot.drivers.emulated_bus import DEFAULT_PORT, HOST, FrameError, LowCommand, LowState

_OPEN_TIMEOUT = 5.0  # s
_FRAMES_A_READ = 64  # a flood on the port must not hold up the control loop


class EmulatedDriver:
    """Speaks to `python -m hil_tests.emulated_robot` (a `deploy_robot.driver.Driver`).

    Args:
        robot: which robot is expected on the bus.
        address: the robot's UDP port; empty for the default.

    Raises:
        UsageError: the address is not a port.
    """

    def __init__(self, robot: Robot, address: str = "") -> None:
        self._robot = robot
        self._port = parse_port(address) if address else DEFAULT_PORT
        self._socket: socket.socket | None = None
        self._state: RobotState | None = None
        self._sequence = 0
        self.rejected_frames = 0  # datagrams that were no sound state frames of this robot

    @property
    def capabilities(self) -> Capabilities:
        """See `Driver`."""
        return Capabilities(state_rate=500.0, watchdog=0.05, hardware=False)

    def open(self) -> None:
        """See `Driver`."""
        state_port = self._port + 1
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind((HOST, state_port))
        except OSError as error:
            self.close()
            if error.errno != errno.EADDRINUSE:
                raise LandbridgeError(f"cannot listen on UDP port {state_port}: {error.strerror}") from None
            raise LandbridgeError(
                f"UDP port {state_port} is in use: another program drives the robot on port {self._port};"
                " stop it, or give another port"
            ) from None
        self._await_state()

    def read(self) -> RobotState | None:
        """See `Driver`."""
        newest = None
        for _ in range(_FRAMES_A_READ):
            try:
                datagram = self._opened().recv(emulated_bus.MAX_FRAME_SIZE + 1)
            except BlockingIOError:
                break
            newest = self._decode(datagram) or newest
        if newest is not None:
            self._state = _to_robot_state(newest)
        return self._state

    def write(self, command: JointCommand) -> None:
        """See `Driver`."""
        self._sequence += 1
        frame = LowCommand(self._sequence, time.monotonic(), command.joint_target, command.kp, command.kd)
        with contextlib.suppress(BlockingIOError):  # a full send buffer: this command is lost, as on a full bus
            self._opened().sendto(emulated_bus.encode(frame), (HOST, self._port))

    def close(self) -> None:
        """See `Driver`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise LandbridgeError("the emulated robot's driver is not open")
        return self._socket

    def _decode(self, datagram: bytes) -> LowState | None:
        try:
            frame = emulated_bus.decode_state(datagram)
        except FrameError:
            self.rejected_frames += 1
            return None
        if frame.joint_pos.size != self._robot.num_joints:
            self.rejected_frames += 1
            return None
        return frame

    def _await_state(self) -> None:
        deadline = time.monotonic() + _OPEN_TIMEOUT
        while self.read() is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0.0:
                self.close()
                raise LandbridgeError(
                    f"no state from a {self._robot.name} on UDP port {self._port + 1} in {_OPEN_TIMEOUT:g} s:"
                    f" start one with `landbridge emulate {self._robot.name} --port {self._port}`"
                )
            select.select([self._opened()], [], [], remaining)


def parse_port(text: str) -> int:
    """A UDP port of a robot, whose next port must exist too. UsageError otherwise."""
    if text.isascii() and text.isdigit() and 1024 <= int(text) <= 65534:
        return int(text)
    raise UsageError(f"port {text!r}: must be a number from 1024 to 65534")


def _to_robot_state(frame: LowState) -> RobotState:
    return RobotState(
        stamp=frame.stamp,
        seq=frame.sequence,
        joint_pos=frame.joint_pos,
        joint_vel=frame.joint_vel,
        imu_quat=frame.imu_quat,
        gyro=frame.gyro,
        joint_torque=frame.joint_torque,
        accel=frame.accel,
    )
