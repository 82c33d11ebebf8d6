"""The robot's end of the bus with faults in it, and a log of every command that came in."""

import socket
import time
from collections import deque
from pathlib import Path

import numpy as np

from contract.errors import UsageError
from deploy_robot.drivers.emulated_bus import LowState
from deploy_robot.ring_log import RingLog, save_npz
from hil_tests import faults
from hil_tests.faults import BusFault
from hil_tests.robot_bus import Codec, Link
from hil_tests.robot_physics import Command

_LOG_CAPACITY = 400_000  # commands: half an hour at 200 Hz
_MAX_MESSAGE = 4096  # bytes
_LOST = b""


class FaultyBus:
    """A `Link` and a `Codec` around those of a robot.

    Args:
        link, codec: what they really are.
        control: Unix datagram socket, to be made here, to which faults are sent as `faults.to_json`.

    Raises:
        UsageError: faults are not enabled.
    """

    def __init__(self, link: Link, codec: Codec, control: Path) -> None:
        faults.require_enabled()
        self._link, self._codec = link, codec
        self._faults: list[BusFault] = []
        self._before: LowState | None = None  # the last state without a fault
        self._delay = 0.0  # s, of the state that was encoded last
        self._late: deque[tuple[float, bytes]] = deque()  # when it is due, and what
        self._delays: dict[bytes, float] = {}  # s, of states that have not been sent yet
        self._previous: np.ndarray | None = None
        self._commands = RingLog({"time": (), "kp": (), "kd": (), "step": ()}, _LOG_CAPACITY)
        self.refused_faults = 0
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._control.setblocking(False)
        control.unlink(missing_ok=True)
        self._control.bind(str(control))

    def receive(self) -> list[bytes]:
        """See `Link`. Faults come in here, too, and states that were held back go out."""
        self._take_faults()
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            self._link.send(self._late.popleft()[1])
        return self._link.receive()

    def decode(self, datagram: bytes) -> Command:
        """See `Codec`. The command is stamped with the robot's steady clock."""
        command = self._codec.decode(datagram)
        target = command.target
        if self._previous is None or self._previous.shape != target.shape:
            self._previous = target
        step = float(np.abs(target - self._previous).max(initial=0.0))
        self._previous = target
        self._commands.append(time.monotonic(), command.kp.mean(), command.kd.mean(), step)
        return command

    def encode(self, state: LowState) -> bytes:
        """See `Codec`; nothing at all for a state that is lost."""
        acting = [fault for fault in self._faults if fault.acts(state.stamp)]
        if not acting:
            self._before = state
            return self._codec.encode(state)
        altered: LowState | None = state
        for fault in acting:
            if altered is not None:
                altered = fault.alter(altered, self._before or state)
        if altered is None:
            return _LOST
        datagram = self._codec.encode(altered)
        self._delays[datagram] = max(fault.delay for fault in acting)
        return datagram

    def send(self, datagram: bytes) -> None:
        """See `Link`."""
        if datagram == _LOST:
            return
        delay = self._delays.pop(datagram, 0.0)
        if delay > 0.0 or self._late:  # a bus keeps the order
            self._late.append((time.monotonic() + delay, datagram))
        else:
            self._link.send(datagram)

    def close(self) -> None:
        """See `Link`."""
        self._control.close()
        self._link.close()

    def __str__(self) -> str:
        return f"{self._link}, with faults"

    def save(self, path: Path) -> None:
        """Write the commands: `time` (s, steady clock), mean `kp` and `kd`, largest `step` of a target (rad)."""
        save_npz(path, self._commands.arrays())

    def _take_faults(self) -> None:
        while True:
            try:
                fault = faults.from_json(self._control.recv(_MAX_MESSAGE))
            except BlockingIOError:
                return
            except UsageError:
                self.refused_faults += 1
                continue
            now = time.monotonic()
            self._faults = [fault, *(other for other in self._faults if now < other.start + other.duration)]


def send_fault(control: Path, fault: BusFault) -> None:
    """Tell the robot that listens on `control`; OSError if none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(faults.to_json(fault), str(control))
