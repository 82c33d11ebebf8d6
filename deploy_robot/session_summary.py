"""What a session comes down to: figures from the logs of its processes, and whether they are good enough."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.rotations import quat_rotate, quat_rotate_inverse

Array = NDArray[np.float64]
Arrays = Mapping[str, Array]

SETTLE_TIME = 1.5  # s after the command has reached its value that do not count as tracking
_FALL_TILT = 1.0  # rad between the base's and the world's up
_FALL_HEIGHT = 0.5  # of the standing height
_PATH_STEP = 1.0  # s between the points whose distances add up, so that swaying is not walking


@dataclass(frozen=True)
class Span:
    """A stretch of the steady clock, s."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """In s."""
        return max(self.end - self.start, 0.0)

    def of(self, time: Array) -> NDArray[np.bool_]:
        """Which of `time` lie in it."""
        return (time >= self.start) & (time <= self.end)


NEVER = Span(np.inf, -np.inf)


@dataclass(frozen=True)
class Percentiles:
    """Median, 99th percentile and largest, s."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Motion:
    """How the robot really moved while the policy drove.

    The errors are means over the time in which the command was settled, None where there was no such time: of
    |v_xy - command| in the base frame (m/s), and of the yaw rate (rad/s).
    """

    distance: float  # m
    falls: int
    tracking_error: float | None
    yaw_rate_error: float | None


@dataclass(frozen=True)
class Summary:
    """One session. `motion` is None where nobody knows the truth, as on a real robot; timings where none were
    taken.
    """

    bundle: str
    digest: str  # of the bundle's manifest
    robot: str
    driver: str
    command: tuple[float, float, float]  # m/s, m/s, rad/s
    seconds: float  # that the policy drove
    interrupted: bool  # by the user
    problem: str  # why it ended other than planned, empty if it did not
    motion: Motion | None
    robot_loop: Percentiles | None  # periods of robot_node's loop
    policy_loop: Percentiles | None  # periods of the policy's steps
    sensor_to_command: Percentiles | None  # from sampling the sensors to the command on the bus
    real_time_factor: float | None  # of an emulated robot
    trips: tuple[Mapping[str, Any], ...]  # time (s since the policy took over), constraint, reaction, message
    dry_run: bool = False  # the robot was never written

    def failures(self, max_error: float) -> tuple[str, ...]:
        """What is not good enough, one phrase each; `max_error` bounds the tracking error, m/s."""
        found = []
        if self.motion and self.motion.falls and not self.dry_run:
            found.append(f"fell {self.motion.falls} time{'s' if self.motion.falls > 1 else ''}")
        error = self.motion.tracking_error if self.motion else None
        if error is not None and not error <= max_error:
            found.append(f"tracking error {error:.3f} m/s, and {max_error:g} are allowed")
        if self.problem:
            found.append(self.problem)
        if self.trips:
            found.append(f"{len(self.trips)} monitor trip{'s' if len(self.trips) > 1 else ''}")
        return tuple(found)

    def to_json(self) -> str:
        """All fields, indented."""
        return json.dumps(asdict(self), indent=2) + "\n"


def percentiles(values: Array) -> Percentiles | None:
    """None of nothing."""
    if not values.size:
        return None
    p50, p99, largest = np.percentile(values, [50, 99, 100]).tolist()
    return Percentiles(p50, p99, largest)


def periods(starts: Array, driving: Span) -> Percentiles | None:
    """Periods of a loop that began its turns at `starts`."""
    return percentiles(np.diff(starts[driving.of(starts)]))


def command_delays(robot_log: Arrays, driving: Span) -> Percentiles | None:
    """From the sample of the sensors to the first command that was made from it."""
    written = robot_log["command_written"]
    return percentiles((written - robot_log["command_stamp"])[driving.of(written)])


def motion(truth: Arrays, command: Sequence[float], standing_height: float, driving: Span, settled: Span) -> Motion:
    """Figures from the ground truth: `driving` is the policy's time, `settled` the part that counts as
    tracking.
    """
    error = yaw_rate_error = None
    rows = settled.of(truth["time"])
    if rows.any():
        velocity = quat_rotate_inverse(truth["root_quat"][rows], truth["root_lin_vel"][rows])
        error = float(np.linalg.norm(velocity[:, :2] - np.asarray(command[:2]), axis=1).mean())
        yaw_rate_error = float(np.abs(truth["root_ang_vel"][rows, 2] - command[2]).mean())
    rows = driving.of(truth["time"])
    time, pos, quat = truth["time"][rows], truth["root_pos"][rows], truth["root_quat"][rows]
    return Motion(_path_length(time, pos), _falls(pos, quat, standing_height), error, yaw_rate_error)


def _path_length(time: Array, pos: Array) -> float:
    if not time.size:
        return 0.0
    points = np.searchsorted(time, np.arange(time[0], time[-1], _PATH_STEP))
    corners = np.concatenate([pos[points, :2], pos[-1:, :2]])
    return float(np.linalg.norm(np.diff(corners, axis=0), axis=1).sum())


def _falls(pos: Array, quat: Array, standing_height: float) -> int:
    """How often the robot went from upright to fallen."""
    upright = quat_rotate(quat, [0.0, 0.0, 1.0])[:, 2] > np.cos(_FALL_TILT)
    fallen = ~(upright & (pos[:, 2] > _FALL_HEIGHT * standing_height))
    return int(np.count_nonzero(np.diff(fallen.astype(int), prepend=0) == 1))
