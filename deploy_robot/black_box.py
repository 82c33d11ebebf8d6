"""The black box's end in the control loop: puts messages into a pipe, and never waits for anything.

Another process (`black_box_writer`) reads the pipe, keeps the last minute and writes the files, so that neither a slow
disk nor Python's own lock can hold the loop up. What fits neither into the pipe nor into a few megabytes beside it is
dropped and counted. The pipe outlives this process, whatever ends it: what is in it is written all the same.
"""

import contextlib
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from contract.errors import LandbridgeError
from deploy_robot import cdr, ticks
from deploy_robot.constraint import Reaction, Reading
from deploy_robot.decision import Decision, Mode, Trip
from deploy_robot.driver import RobotState
from deploy_robot.recording import IMUS, JOINT_STATES, TARGETS, TICKS, TRIPS, TYPES, require_mcap
from deploy_robot.target import Target

HEADER = struct.Struct("<IBq")  # length of the message, index of its topic, ROS time in ns
TOPICS = tuple(TYPES)
WRITER = "deploy_robot.black_box_writer"

_PIPE_SIZE = 1 << 20  # bytes, the most that Linux gives to everybody: over two seconds of messages
_MOST_WAITING = 4 << 20  # bytes, while the pipe is full
_START_TIMEOUT = 30.0  # s; a busy machine imports slowly
_FLUSH_PERIOD = 0.02  # s
_CLOSE_TIMEOUT = 8.0  # s for the writer to finish; it goes on by itself after that


@dataclass(frozen=True)
class BlackBoxConfig:
    """What the writer is told.

    Attributes:
        folder: for the files; it is created.
        about: metadata of the recordings.
        namespace: of the topics.
        whole_run: record everything to one file, too.
    """

    folder: str
    about: Mapping[str, str]
    namespace: str = ""
    whole_run: bool = False


class BlackBox:
    """Records. Nothing here raises once it is open: a robot must not stop since it cannot be recorded.

    Args:
        config: what the writer is told.
        joint_names: in the order of all joint arrays.
        imu_frame: of the IMU messages.

    Raises:
        LandbridgeError: the folder cannot be made, the writer not be started, or a package is missing.
    """

    def __init__(self, config: BlackBoxConfig, joint_names: Sequence[str], imu_frame: str = "imu") -> None:
        require_mcap()
        self.offset = 0  # ns to add to the steady clock for ROS time
        self.lost = 0  # messages
        self._names = tuple(joint_names)
        self._imu_frame = imu_frame
        self._layout = ticks.sections(len(self._names))
        self._target: Target | None = None
        self._waiting = bytearray()  # for the next write to the pipe: one a turn, since it costs more than the messages
        try:
            Path(config.folder).mkdir(parents=True, exist_ok=True)
            reading_end, self._pipe = os.pipe()
            # The whole pipe has to be emptied by the writer before it can end, so its end here must be the only one.
            with os.fdopen(reading_end, "rb") as source:
                self._writer = subprocess.Popen(
                    [sys.executable, "-m", WRITER], stdin=source, stdout=subprocess.PIPE, start_new_session=True
                )
        except OSError as error:
            raise LandbridgeError(f"{config.folder}: no black box: {error.strerror}") from None
        with contextlib.suppress(OSError, AttributeError):  # no Linux, or a user with many pipes: a smaller one
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        first = json.dumps(asdict(config)).encode()
        with contextlib.suppress(OSError):  # a writer that ended at once, which the next line finds out
            os.write(self._pipe, HEADER.pack(len(first), 0, 0) + first)
        os.set_blocking(self._pipe, False)
        self._await_writer(config.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the writer finish its files, and wait a bounded time for it. May be called twice."""
        if self._pipe < 0:
            return
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        self._flush()
        while self._waiting and self._writer.poll() is None and time.monotonic() < deadline:
            time.sleep(_FLUSH_PERIOD)
            self._flush()
        os.close(self._pipe)
        self._pipe = -1
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._writer.wait(max(deadline - time.monotonic(), 0.0))

    def _await_writer(self, folder: str) -> None:
        """It takes longer to start than the pipe has room for."""
        assert self._writer.stdout is not None
        with self._writer.stdout as said:
            if not select.select([said], [], [], _START_TIMEOUT)[0] or not said.readline():
                self._writer.kill()
                self.close()
                raise LandbridgeError(f"{folder}: no black box: the process that writes it does not start")

    def message(self, topic: str, now: float, data: bytes) -> None:
        """A message as it is, CDR, at steady time `now` in s."""
        try:
            self._send(topic, self._ros_time(now), data)
        except Exception:  # see the class
            self.lost += 1

    def state(self, now: float, state: RobotState) -> None:
        """A new sample, as joint_states and imu are published."""
        try:
            at, stamp = self._ros_time(now), self._ros_time(state.stamp)
            joints = cdr.joint_state(stamp, self._names, state.joint_pos, state.joint_vel, state.joint_torque)
            self._send(JOINT_STATES, at, joints)
            self._send(IMUS, at, cdr.imu(stamp, self._imu_frame, state.imu_quat, state.gyro, state.accel))
        except Exception:  # see the class
            self.lost += 1

    def tick(
        self, now: float, written: float, before: Mode, decision: Decision, reading: Reading, target: Target | None
    ) -> None:
        """The end of a turn of the loop: see `ticks.encode`; `target` is the newest that has come in."""
        try:
            if target is not None and target is not self._target:
                data = cdr.joint_state(self._ros_time(target.stamp), self._names, target.joint_target, None, None)
                self._send(TARGETS, self._ros_time(target.received), data)
            self._target = target
            data = ticks.encode(self._layout, now, written, before, decision, reading, self.lost)
            self._send(TICKS, self._ros_time(now), data)
            if decision.new_trips:
                self._send(TRIPS, self._ros_time(now), self._trips(now, decision.new_trips))
            self._flush()
        except Exception:  # see the class
            self.lost += 1

    def _trips(self, now: float, trips: Sequence[Trip]) -> bytes:
        return cdr.diagnostics(
            self._ros_time(now),
            [
                cdr.Diagnostic(
                    level=2 if trip.reaction >= Reaction.DAMP else 1,
                    name=trip.constraint,
                    message=trip.message,
                    hardware_id="",
                    values=(("reaction", trip.reaction.name.lower()), ("time", repr(trip.time))),
                )
                for trip in trips
            ],
        )

    def _ros_time(self, steady: float) -> int:
        return round(steady * 1e9) + self.offset

    def _send(self, topic: str, at: int, data: bytes) -> None:
        if len(self._waiting) > _MOST_WAITING:
            self.lost += 1
        else:
            self._waiting += HEADER.pack(len(data), TOPICS.index(topic), at) + data

    def _flush(self) -> None:
        with contextlib.suppress(OSError):  # full, or nobody reads it any more
            del self._waiting[: os.write(self._pipe, self._waiting)]
