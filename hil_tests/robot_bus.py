"""What an emulated robot speaks, and over what. Here: the UDP bus that only emulated robots have."""

import errno
import socket
from typing import Protocol

from contract.errors import LandbridgeError, UsageError
from deploy_robot.drivers import emulated_bus
from deploy_robot.drivers.emulated_bus import HOST, MAX_FRAME_SIZE, LowState
from hil_tests.robot_physics import Command

_DATAGRAMS_A_TICK = 64  # a flood on the port must not hold up the physics


class Codec(Protocol):
    """The robot's language."""

    def decode(self, datagram: bytes) -> Command:
        """The command in a datagram. FrameError where there is none that is sound."""
        ...

    def encode(self, state: LowState) -> bytes:
        """The datagram that tells of a measured state."""
        ...


class Link(Protocol):
    """The robot's end of the wire."""

    def receive(self) -> list[bytes]:
        """What has arrived since the last call, oldest first, without waiting."""
        ...

    def send(self, datagram: bytes) -> None:
        """Send without waiting; on a full bus the datagram is lost."""
        ...

    def close(self) -> None:
        """Leave the bus."""
        ...

    def __str__(self) -> str:
        """Where it is, as in a message."""
        ...


class UdpCodec:
    """Frames of `deploy_robot.drivers.emulated_bus`."""

    def decode(self, datagram: bytes) -> Command:
        """See `Codec`."""
        frame = emulated_bus.decode_command(datagram)
        return Command(frame.joint_target, frame.kp, frame.kd)

    def encode(self, state: LowState) -> bytes:
        """See `Codec`."""
        return emulated_bus.encode(state)


class UdpLink:
    """One datagram a frame: commands come to `port`, states go to the next one.

    Raises:
        UsageError: an impossible port.
        LandbridgeError: the port is in use.
    """

    def __init__(self, port: int) -> None:
        if not 1024 <= port <= 65534:
            raise UsageError(f"port {port}: must be from 1024 to 65534")
        self._port = port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind((HOST, port))
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise LandbridgeError(f"cannot listen on UDP port {port}: {error.strerror}") from None
            raise LandbridgeError(
                f"UDP port {port} is in use: another emulated robot may be running; stop it, or give another port"
            ) from None

    def receive(self) -> list[bytes]:
        """See `Link`."""
        datagrams: list[bytes] = []
        while len(datagrams) < _DATAGRAMS_A_TICK:
            try:
                datagrams.append(self._socket.recv(MAX_FRAME_SIZE + 1))
            except BlockingIOError:
                break
        return datagrams

    def send(self, datagram: bytes) -> None:
        """See `Link`."""
        try:
            self._socket.sendto(datagram, (HOST, self._port + 1))
        except BlockingIOError:
            return

    def close(self) -> None:
        """See `Link`."""
        self._socket.close()

    def __str__(self) -> str:
        return f"UDP port {self._port}"
