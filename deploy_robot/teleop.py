"""Driving by hand: what keys and sticks ask for, with a dead man's switch. Pure: time and input are passed in.

Whoever lets go stops: a velocity lasts only while a key repeats, or while the gamepad's button is held.
"""

import re
import struct
from dataclasses import dataclass, field

Velocity = tuple[float, float, float]
"""vx, vy (m/s) and yaw rate (rad/s) in the base frame."""

STILL: Velocity = (0.0, 0.0, 0.0)

KEY_HELP = """\
w s  forwards, backwards     q e  turn left, right       hold the key: letting go stops the robot
a d  to the left, right      space  EMERGENCY STOP       1 stand  2 arm  3 pause  4 sit  5 reset  x quit"""

PAD_HELP = "hold the dead man's button (left shoulder) and steer: left stick to walk, right stick to turn; B: STOP"

# A terminal tells of no key that is released, only of one that repeats: after up to 0.66 s (X.org's default) and
# then some 25 times a second.
FIRST_HOLD = 0.7  # s that a first press lasts
REPEAT_HOLD = 0.2  # s that each repetition lasts

_DIRECTIONS: dict[bytes, Velocity] = {
    b"w": (1.0, 0.0, 0.0),
    b"s": (-1.0, 0.0, 0.0),
    b"a": (0.0, 1.0, 0.0),
    b"d": (0.0, -1.0, 0.0),
    b"q": (0.0, 0.0, 1.0),
    b"e": (0.0, 0.0, -1.0),
}
_REQUESTS = {b" ": "estop", b"1": "stand", b"2": "arm", b"3": "pause", b"4": "sit", b"5": "reset"}
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;]*[@-~]|O.)", re.DOTALL)  # of arrows and function keys, which mean nothing
_LONGEST_SEQUENCE = 16  # bytes; what is longer is noise
_CUT_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;]*|O)?\Z")
_QUIT = (b"x", b"\x03", b"\x04")  # Ctrl-C and Ctrl-D, too


@dataclass(frozen=True)
class Wishes:
    """What some input asks for, beside a velocity."""

    requests: tuple[str, ...] = ()  # of `deploy_robot.ros.operator.Operator.request`
    quit: bool = False


@dataclass
class Keyboard:
    """Bytes of a terminal in raw mode.

    Attributes:
        top: velocity that a held key asks for in each direction, m/s, m/s, rad/s.
    """

    top: Velocity
    _expires: dict[bytes, float] = field(default_factory=dict)  # s, by key that is down
    _rest: bytes = b""

    def take(self, data: bytes, now: float) -> Wishes:
        """Input that came in at `now`. A stop counts before anything else that came with it."""
        data = _SEQUENCE.sub(b"", self._rest + data)
        cut = _CUT_SEQUENCE.search(data)
        self._rest = cut[0][:_LONGEST_SEQUENCE] if cut else b""
        data = data[: cut.start()] if cut else data
        keys = [data[i : i + 1].lower() for i in range(len(data))]
        for key in keys:
            if key in _DIRECTIONS:
                held = now < self._expires.get(key, now)
                self._expires[key] = now + (REPEAT_HOLD if held else FIRST_HOLD)
        requests = [_REQUESTS[key] for key in keys if key in _REQUESTS]
        if requests:
            self.release()
        first = sorted(dict.fromkeys(requests), key=lambda name: name != "estop")
        return Wishes(tuple(first[:1]), any(key in _QUIT for key in keys))

    def velocity(self, now: float) -> Velocity:
        """What the keys that are down at `now` add up to."""
        down = [_DIRECTIONS[key] for key, end in self._expires.items() if now < end]
        vx, vy, yaw_rate = (max(-1.0, min(1.0, sum(parts))) for parts in zip(STILL, *down, strict=True))
        return vx * self.top[0], vy * self.top[1], yaw_rate * self.top[2]

    def release(self) -> None:
        """All keys are up."""
        self._expires.clear()


# Linux's joystick interface, linux/joystick.h: struct js_event {u32 time; s16 value; u8 type; u8 number;}.
EVENT = struct.Struct("=IhBB")
_BUTTON, _AXIS, _INITIAL = 0x01, 0x02, 0x80
_FULL = 32767

# Numbers as the kernel's xpad driver gives them for the gamepads that most people have.
DEAD_MAN = 4  # left shoulder
STOP = 1  # B
_AXES = {1: 0, 0: 1, 3: 2}  # left stick forwards, left stick sideways, right stick sideways; all are minus that way
_DEAD_ZONE = 0.12  # of the way, in which a stick rests


@dataclass
class Gamepad:
    """Events of a joystick device.

    Attributes:
        top: velocity of a stick that is pushed to its end.
        dead_man: number of the button without which the velocity is zero.
        stop: number of the button that asks for an emergency stop.
    """

    top: Velocity
    dead_man: int = DEAD_MAN
    stop: int = STOP
    _held: bool = False
    _sticks: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    _rest: bytes = b""

    def take(self, data: bytes) -> Wishes:
        """Bytes of the device, cut anywhere."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        stop = False
        for _, value, kind, number in EVENT.iter_unpack(data[:whole]):
            if kind & ~_INITIAL == _BUTTON and number == self.dead_man:
                self._held = bool(value)
            elif kind == _BUTTON and number == self.stop:  # not what the device reports of itself when it is opened
                stop |= bool(value)
            elif kind & ~_INITIAL == _AXIS and number in _AXES:
                self._sticks[_AXES[number]] = _deflection(value)
        return Wishes(("estop",) if stop else ())

    def velocity(self) -> Velocity:
        """What the sticks ask for while the button is held, else zero."""
        if not self._held:
            return STILL
        vx, vy, yaw_rate = (stick * top for stick, top in zip(self._sticks, self.top, strict=True))
        return vx, vy, yaw_rate


def _deflection(value: int) -> float:
    """-1 to 1, 0 in the dead zone and growing from there; pushed away from oneself or to the left is positive."""
    way = max(-1.0, min(1.0, -value / _FULL))
    beyond = max(0.0, abs(way) - _DEAD_ZONE) / (1.0 - _DEAD_ZONE)
    return beyond if way > 0.0 else -beyond
