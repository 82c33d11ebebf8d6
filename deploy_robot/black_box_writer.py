"""The black box's process: keeps the last minute in memory, writes it out on a trip, and the whole run if asked to.

Started by `black_box.BlackBox`, which it outlives: it ends when the pipe on its standard input does, so that a
robot_node that is killed leaves its last minute behind like any other. Signals are for robot_node, not for it.
"""

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from contract import storage
from deploy_robot import cdr
from deploy_robot.black_box import HEADER, TOPICS
from deploy_robot.recording import TRIPS, Message, RecordingWriter, to_bytes

KEPT = 60.0  # s before a trip
AFTERMATH = 5.0  # s after it, in the same file
MOST_FILES = 10  # of trips in one run: the newest

_POLL_PERIOD = 0.05  # s; the pipe holds much more, and a reader that is woken up for each message costs the loop time
_FLUSH_PERIOD = 1.0  # s
_READ_SIZE = 1 << 20
_SECOND = 1_000_000_000  # ns


class Recorder:
    """Takes in messages and leaves files. A file that cannot be written is one line on standard error.

    Args:
        folder: for the files.
        about: metadata of the recordings.
        namespace: of the topics.
        whole_run: write everything to a file, too.
        kept, aftermath: s before and after a trip that its file holds.
    """

    def __init__(
        self,
        folder: Path,
        about: Mapping[str, str],
        namespace: str = "",
        whole_run: bool = False,
        kept: float = KEPT,
        aftermath: float = AFTERMATH,
    ) -> None:
        self._folder = folder
        self._about = about
        self._namespace = namespace
        self._kept, self._aftermath = round(kept * _SECOND), round(aftermath * _SECOND)
        self._recent: deque[Message] = deque()
        self._trip_file: Path | None = None
        self._trip_end = 0  # ns
        self._files: deque[Path] = deque()
        self._saving: threading.Thread | None = None
        self._run_file: IO[bytes] | None = None
        self._run: RecordingWriter | None = None
        if whole_run:
            path = _free(folder, f"run-{_now()}")
            with self._reported(path):
                self._run_file = path.open("wb")
                self._run = RecordingWriter(self._run_file, about, namespace)

    def add(self, message: Message) -> None:
        """The next message."""
        if self._trip_file is not None and message.time > self._trip_end:
            self._end_trip()
        self._recent.append(message)
        # While a trip's end is awaited, nothing before it gets lost.
        horizon = message.time - self._kept - (self._aftermath if self._trip_file else 0)
        while self._recent[0].time < horizon:
            self._recent.popleft()
        if self._run is not None:
            try:
                self._run.add(message)
            except OSError as error:  # a full disk, most likely; the last minute is still kept
                self._complain(self._folder, error)
                self._run = None
        if message.topic == TRIPS and self._trip_file is None:
            self._begin_trip(message)

    def flush(self) -> None:
        """Bring what there is of the whole run to the system, where the end of this process cannot hurt it."""
        if self._run_file is not None:
            with self._reported(self._folder):
                self._run_file.flush()

    def finish(self) -> None:
        """Complete all files."""
        if self._trip_file is not None:
            self._end_trip()
        if self._saving is not None:
            self._saving.join()
        with self._reported(self._folder):
            if self._run is not None:
                self._run.finish()
            if self._run_file is not None:
                self._run_file.close()

    def _begin_trip(self, message: Message) -> None:
        statuses = cdr.read_diagnostics(message.data)
        # Of several at once the severest names the file.
        name = max(statuses, key=lambda status: status.level).name if statuses else ""
        self._trip_file = _free(self._folder, f"trip-{_now()}-{re.sub('[^A-Za-z0-9_]', '', name)}")
        self._trip_end = message.time + self._aftermath
        self._files.append(self._trip_file)
        outdated = self._files.popleft() if len(self._files) > MOST_FILES else None
        self._save(self._trip_file, outdated)  # at once: who knows what the trip leads to

    def _end_trip(self) -> None:
        if self._trip_file is not None:
            self._save(self._trip_file)
        self._trip_file = None

    def _save(self, path: Path, outdated: Path | None = None) -> None:
        """Write a file and remove another, in the background and in order: meanwhile the pipe must be emptied."""
        previous, messages = self._saving, list(self._recent)

        def save() -> None:
            if previous is not None:
                previous.join()
            with self._reported(path):
                storage.replace_file(path, to_bytes(messages, self._about, self._namespace))
                if outdated is not None:
                    outdated.unlink(missing_ok=True)

        self._saving = threading.Thread(target=save)
        self._saving.start()

    @contextlib.contextmanager
    def _reported(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._complain(path, error)

    def _complain(self, path: Path, error: OSError) -> None:
        print(f"black box: {path}: could not be written: {error.strerror}", file=sys.stderr, flush=True)


class Records:
    """Cuts the bytes of the pipe into records."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Every record that is complete now: index of its topic, ROS time in ns, message."""
        self._data += data
        at = 0
        while at + HEADER.size <= len(self._data):
            length, topic, stamp = HEADER.unpack_from(self._data, at)
            end = at + HEADER.size + length
            if end > len(self._data):
                break
            yield topic, stamp, bytes(self._data[at + HEADER.size : end])
            at = end
        del self._data[:at]


def main() -> None:
    """Until the pipe on standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    source = sys.stdin.fileno()
    records = Records()
    recorder: Recorder | None = None
    flushed = time.monotonic()
    while data := os.read(source, _READ_SIZE):
        for topic, stamp, message in records.feed(data):
            if recorder is None:  # the first one says what to do
                settings: dict[str, Any] = json.loads(message)
                recorder = Recorder(Path(settings.pop("folder")), **settings)
                print("ready", flush=True)
            else:
                recorder.add(Message(TOPICS[topic], stamp, message))
        if recorder is not None and time.monotonic() - flushed > _FLUSH_PERIOD:
            recorder.flush()
            flushed = time.monotonic()
        time.sleep(_POLL_PERIOD)
    if recorder is not None:
        recorder.finish()


def _now() -> str:
    return f"{datetime.now():%Y%m%d-%H%M%S}"


def _free(folder: Path, name: str) -> Path:
    """A path for a new file: two robots may share a folder and trip in the same second."""
    path, number = folder / f"{name}.mcap", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.mcap"
    return path


if __name__ == "__main__":
    main()
