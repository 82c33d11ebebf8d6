"""What robot_node remembers for the summary: loop times, command delays, trips. Bounded, and no ROS in it."""

import json
from pathlib import Path

from deploy_robot.ring_log import RingLog, save_npz
from deploy_robot.supervisor import Decision, Mode, Reaction, Target, Trip

_TICKS = 400_000  # half an hour at 200 Hz
_COMMANDS = 100_000
_TRIPS = 1000

MODES = tuple(Mode)


class RobotLog:
    """Collects decisions and writes them as npz."""

    def __init__(self) -> None:
        self._ticks = RingLog({"tick_time": (), "tick_mode": (), "tick_reaction": ()}, _TICKS)
        self._commands = RingLog({"command_stamp": (), "command_received": (), "command_written": ()}, _COMMANDS)
        self._trips: list[Trip] = []
        self._last_target: Target | None = None

    def record(self, now: float, decision: Decision, target: Target | None, written: float) -> None:
        """One turn of the loop that started at `now`; the command was on the bus at `written` (s, steady
        clock).
        """
        self._ticks.append(now, MODES.index(decision.mode), int(decision.reaction))
        self._trips = [*self._trips, *decision.new_trips][:_TRIPS] if decision.new_trips else self._trips
        if target is not None and target is not self._last_target and decision.mode is Mode.ACTIVE:
            self._commands.append(target.stamp, target.received, written)
        self._last_target = target

    def save(self, path: Path) -> None:
        """Write the log. LandbridgeError where that fails."""
        trips = [
            {
                "time": trip.time,
                "constraint": trip.constraint,
                "reaction": Reaction(trip.reaction).name.lower(),
                "message": trip.message,
            }
            for trip in self._trips
        ]
        save_npz(
            path,
            self._ticks.arrays()
            | self._commands.arrays()
            | {"modes": [mode.value for mode in MODES], "trips": json.dumps(trips)},
        )
