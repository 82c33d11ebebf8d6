"""What robot_node records of each turn of its loop: all that the constraints looked at, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields

import numpy as np

from deploy_robot.cdr import CdrError, Sections
from deploy_robot.constraint import Reading
from deploy_robot.decision import Decision, Mode
from deploy_robot.driver import Array
from deploy_robot.limits import Limits

MODES = tuple(Mode)

_ARRAYS = ("joint_pos", "joint_vel", "joint_torque", "imu_quat", "target", "previous_target")
_OPTIONAL = ("gyro", "temperature", "battery", "foot_force", "command")  # left out where they are None
_NUMBERS = tuple(
    f.name for f in fields(Reading) if f.init and f.name not in (*_ARRAYS, *_OPTIONAL, "limits", "stop_reason")
)
_DEFAULTED = tuple(f.name for f in fields(Reading) if f.name in _NUMBERS and f.default is not MISSING)
_HEAD = ("time", "written", "mode_before", "mode", "reaction", "lost")
_COMMAND = ("joint_target", "kp", "kd")


class Layout:
    """How ticks are laid out; times are s on robot_node's steady clock, modes indices of `MODES`."""

    def __init__(self, num_joints: int) -> None:
        self._num_joints = num_joints
        self._sections: dict[tuple[int, ...], Sections] = {}

    def message(self, parts: Sequence[Sequence[float] | Array], optional: Mapping[str, Array]) -> bytes:
        """A tick of its head, numbers and arrays of the reading, its command, and what there is of the optional."""
        sizes = tuple(optional[name].size if name in optional else 0 for name in _OPTIONAL)
        if sizes not in self._sections:  # what a robot reports does not change from state to state
            self._sections[sizes] = self._with({name: values.size for name, values in optional.items()})
        return self._sections[sizes].message([*parts, *optional.values()])

    def _with(self, optional: Mapping[str, int]) -> Sections:
        n = self._num_joints
        return Sections(
            dict.fromkeys(_HEAD, 1)
            | {f"reading/{name}": 4 if name == "imu_quat" else n for name in _ARRAYS}
            | {f"reading/{name}": 1 for name in _NUMBERS}
            | {f"command/{name}": n for name in _COMMAND}
            | {f"reading/{name}": size for name, size in optional.items()}
        )


def sections(num_joints: int) -> Layout:
    """The layout for a robot."""
    return Layout(num_joints)


def encode(
    layout: Layout, now: float, written: float, before: Mode, decision: Decision, reading: Reading, lost: int
) -> bytes:
    """A tick as Float64MultiArray.

    Args:
        now, written: s, when the turn began, and when the command was on the bus; NaN if it never was.
        before: mode that the constraints were judged in.
        lost: messages that could not be recorded so far.
    """
    command = decision.command
    head = (now, written, MODES.index(before), MODES.index(decision.mode), decision.reaction, lost)
    arrays = [getattr(reading, name) for name in _ARRAYS]
    numbers = [getattr(reading, name) for name in _NUMBERS]
    optional = {
        name: np.atleast_1d(np.asarray(value, dtype=np.float64))
        for name in _OPTIONAL
        if (value := getattr(reading, name)) is not None
    }
    return layout.message([head, *arrays, numbers, command.joint_target, command.kp, command.kd], optional)


@dataclass(frozen=True, eq=False)
class Tick:
    """One turn of robot_node's loop, read back.

    Attributes:
        time: s, the `now` of the supervisor.
        before, mode: the mode before and after it.
        lost: messages that had not been recorded by then.
        command: `joint_target` (rad), `kp`, `kd`, (num_joints,) each, as written to the robot.
    """

    time: float
    before: Mode
    mode: Mode
    lost: int
    command: Mapping[str, Array]
    _reading: Mapping[str, Array]

    def reading(self, limits: Limits) -> Reading:
        """What the constraints looked at, but for the words of whoever asked for a stop."""
        values = {name: self._reading[name] for name in _ARRAYS}
        # A recording from before a row was made lacks what it needs, which then counts as not reported.
        values |= {name: self._reading[name] for name in _OPTIONAL if name in self._reading}
        numbers = {name: float(self._reading[name][0]) for name in (*_NUMBERS, "battery") if name in self._reading}
        return Reading(limits=limits, stop_reason="as recorded", **values | numbers)


def decode(parts: Mapping[str, Array]) -> Tick:
    """A tick out of the sections of its message; CdrError where one is missing."""
    try:
        return Tick(
            time=float(parts["time"][0]),
            before=MODES[int(parts["mode_before"][0])],
            mode=MODES[int(parts["mode"][0])],
            lost=int(parts["lost"][0]),
            command={name: parts[f"command/{name}"] for name in _COMMAND},
            _reading={name: parts[f"reading/{name}"] for name in (*_ARRAYS, *_NUMBERS) if name not in _DEFAULTED}
            | {name: parts[f"reading/{name}"] for name in (*_DEFAULTED, *_OPTIONAL) if f"reading/{name}" in parts},
        )
    except (KeyError, IndexError, ValueError, OverflowError) as error:
        raise CdrError(f"not a tick: {error}") from None
