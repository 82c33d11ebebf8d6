"""The film of a session: the true motion of the emulated robot, with command and velocity written on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from contract import robots
from policies.session_log import TRUTH, SessionLog, mean_over, read_session
from sim.rendering import Frames, read_recording, render

FPS = 20.0
_BEFORE, _AFTER = 1.5, 1.0  # s around the time in which the policy drives: standing up, lying down


def film(session: Path, path: Path, workers: int = 1, progress: Callable[[int, int], None] | None = None) -> Path:
    """Draw the film of the session in folder `session` to `path`.

    Raises:
        LandbridgeError: the session left no true motion, or the film cannot be written.
    """
    log = read_session(session)
    robot, frames = read_recording(session / TRUTH)
    frames = captioned(frames, log)
    start, end = (log.start - _BEFORE, log.end + _AFTER) if log.end > log.start else (-np.inf, np.inf)
    frames = frames.between(start, end)
    return render(robots.load(robot), frames, path, FPS, workers=workers, progress=progress)


def captioned(frames: Frames, log: SessionLog) -> Frames:
    """The motion with time, command and mean velocity of half a second as captions."""
    command = ", ".join(f"{value:+.2f}" for value in log.summary["command"])
    velocity = np.stack([mean_over(log.time, log.velocity[:, i], 0.5) for i in range(3)], axis=1)
    lines = []
    for time, (vx, vy, yaw_rate) in zip(frames.time - log.start, velocity, strict=True):
        driving = 0.0 <= time <= log.end - log.start
        told = f"command {command}   measured {vx:+.2f}, {vy:+.2f}, {yaw_rate:+.2f}   (m/s, m/s, rad/s)"
        lines.append(f"{time:5.1f} s   {told}" if driving else "")
    return frames.with_captions(tuple(lines))
