"""What robot_node records of each turn of its loop: all that the constraints looked at, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from deploy_robot.cdr import CdrError, Sections
from deploy_robot.constraint import Reading
from deploy_robot.decision import Decision, Mode
from deploy_robot.driver import Array
from deploy_robot.limits import Limits

MODES = tuple(Mode)

_ARRAYS = ("joint_pos", "joint_vel", "joint_torque", "imu_quat", "target", "previous_target")
_NUMBERS = tuple(f.name for f in fields(Reading) if f.name not in (*_ARRAYS, "limits", "stop_reason"))
_HEAD = ("time", "written", "mode_before", "mode", "reaction", "lost")
_COMMAND = ("joint_target", "kp", "kd")


def sections(num_joints: int) -> Sections:
    """How a tick is laid out; times are s on robot_node's steady clock, modes indices of `MODES`."""
    return Sections(
        dict.fromkeys(_HEAD, 1)
        | {f"reading/{name}": 4 if name == "imu_quat" else num_joints for name in _ARRAYS}
        | {f"reading/{name}": 1 for name in _NUMBERS}
        | {f"command/{name}": num_joints for name in _COMMAND}
    )


def encode(
    layout: Sections, now: float, written: float, before: Mode, decision: Decision, reading: Reading, lost: int
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
    return layout.message([head, *arrays, numbers, command.joint_target, command.kp, command.kd])


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
        numbers = {name: float(self._reading[name][0]) for name in _NUMBERS}
        return Reading(limits=limits, stop_reason="as recorded", **values, **numbers)


def decode(parts: Mapping[str, Array]) -> Tick:
    """A tick out of the sections of its message; CdrError where one is missing."""
    try:
        return Tick(
            time=float(parts["time"][0]),
            before=MODES[int(parts["mode_before"][0])],
            mode=MODES[int(parts["mode"][0])],
            lost=int(parts["lost"][0]),
            command={name: parts[f"command/{name}"] for name in _COMMAND},
            _reading={name: parts[f"reading/{name}"] for name in (*_ARRAYS, *_NUMBERS)},
        )
    except (KeyError, IndexError, ValueError, OverflowError) as error:
        raise CdrError(f"not a tick: {error}") from None
