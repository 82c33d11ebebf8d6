"""The devices that somebody drives with: a terminal in raw mode, or a Linux joystick."""

import contextlib
import os
import termios
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from contract.errors import LandbridgeError, UsageError
from deploy_robot.teleop import Gamepad, Keyboard, Velocity, Wishes

_MOST_BYTES = 4096  # of one read


class Hand(Protocol):
    """Somebody's hand on a device."""

    def poll(self, now: float) -> tuple[Velocity, Wishes]:
        """What it asks for at `now` (s), without waiting. LandbridgeError where the device is gone."""
        ...


class KeyboardHand:
    """A terminal's keys; see `deploy_robot.teleop.Keyboard`."""

    def __init__(self, descriptor: int, top: Velocity) -> None:
        self._descriptor = descriptor
        self._keyboard = Keyboard(top)

    def poll(self, now: float) -> tuple[Velocity, Wishes]:
        """See `Hand`."""
        wishes = self._keyboard.take(_read(self._descriptor, "the terminal"), now)
        return self._keyboard.velocity(now), wishes


class GamepadHand:
    """A joystick; see `deploy_robot.teleop.Gamepad`."""

    def __init__(self, descriptor: int, path: Path, gamepad: Gamepad) -> None:
        self._descriptor = descriptor
        self._path = path
        self._gamepad = gamepad

    def poll(self, now: float) -> tuple[Velocity, Wishes]:
        """See `Hand`."""
        wishes = self._gamepad.take(_read(self._descriptor, str(self._path)))
        return self._gamepad.velocity(), wishes


@contextlib.contextmanager
def keyboard(descriptor: int, top: Velocity) -> Iterator[KeyboardHand]:
    """The terminal at `descriptor`, in raw mode for the `with` block and as it was after it.

    Raises:
        UsageError: it is no terminal.
    """
    if not os.isatty(descriptor):
        raise UsageError("teleop reads its keys from a terminal, and this is none: run it in one, or give --gamepad")
    before = termios.tcgetattr(descriptor)
    blocking = os.get_blocking(descriptor)
    try:
        tty.setcbreak(descriptor)
        raw = termios.tcgetattr(descriptor)
        raw[3] &= ~termios.ISIG  # Ctrl-C is a key like others: it must end in a command of zero
        termios.tcsetattr(descriptor, termios.TCSADRAIN, raw)
        os.set_blocking(descriptor, False)
        yield KeyboardHand(descriptor, top)
    finally:
        os.set_blocking(descriptor, blocking)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def gamepad(path: Path, pad: Gamepad) -> Iterator[GamepadHand]:
    """The joystick at `path`, such as /dev/input/js0, whose events `pad` takes.

    Raises:
        LandbridgeError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise LandbridgeError(f"{path}: cannot be opened: {error.strerror}; is the gamepad plugged in?") from None
    try:
        yield GamepadHand(descriptor, path, pad)
    finally:
        os.close(descriptor)


def _read(descriptor: int, name: str) -> bytes:
    try:
        data = os.read(descriptor, _MOST_BYTES)
    except BlockingIOError:
        return b""  # nothing new
    except OSError as error:
        raise LandbridgeError(f"{name}: lost: {error.strerror}") from None
    if not data:
        raise LandbridgeError(f"{name}: lost: it has ended")
    return data
