"""What a session over ROS 2 left behind, read back for pictures: summary, loop times, delays, and the truth."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.errors import LandbridgeError
from contract.rotations import quat_rotate_inverse

Array = NDArray[np.float64]

SUMMARY = "summary.json"
TRUTH = "truth.npz"


@dataclass(frozen=True, eq=False)
class SessionLog:
    """One session. Arrays are empty where nothing was logged; times are s since the policy took over.

    Attributes:
        summary: summary.json.
        start, end: when the policy took over and when it ended, s on the clock of the logs.
        robot_periods, policy_periods: (n,) s, of the two loops while the policy drove.
        delays: (n,) s, from sampling the sensors to the command on the bus.
        time: (n,) s. velocity: (n, 3) m/s, m/s, rad/s: vx, vy, yaw rate in the base frame.
    """

    summary: Mapping[str, Any]
    start: float
    end: float
    robot_periods: Array
    policy_periods: Array
    delays: Array
    time: Array
    velocity: Array


def read_session(folder: Path) -> SessionLog:
    """Read the folder of a session.

    Raises:
        LandbridgeError: there is no summary in it, or a file is damaged.
    """
    path = folder / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        robot, policy, truth = (_arrays(folder / name) for name in ("robot_node.npz", "policy_node.npz", TRUTH))
        start, end = _driven(robot)
        written = robot.get("command_written", np.zeros(0))
        driving = (written >= start) & (written <= end)
        delays = (written - robot.get("command_stamp", written))[driving]
        time, velocity = _velocity(truth)
        return SessionLog(
            summary=summary,
            start=start,
            end=end,
            robot_periods=_periods(robot.get("tick_time", np.zeros(0)), start, end),
            policy_periods=_periods(policy.get("step_time", np.zeros(0)), start, end),
            delays=delays,
            time=time - start,
            velocity=velocity,
        )
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise LandbridgeError(f"{folder}: not the folder of a session, or damaged: {error}") from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _driven(robot: Mapping[str, NDArray[Any]]) -> tuple[float, float]:
    """First and last turn of robot_node's loop in which the policy drove; an empty stretch if it never did."""
    if "tick_mode" not in robot:
        return 0.0, 0.0
    active = robot["modes"].tolist().index("active")
    times = robot["tick_time"][robot["tick_mode"] == active]
    return (float(times[0]), float(times[-1])) if len(times) else (0.0, 0.0)


def _periods(times: Array, start: float, end: float) -> Array:
    periods: Array = np.diff(times[(times >= start) & (times <= end)])
    return periods


def _velocity(truth: Mapping[str, NDArray[Any]]) -> tuple[Array, Array]:
    if not truth:
        return np.zeros(0), np.zeros((0, 3))
    planar = quat_rotate_inverse(truth["root_quat"], truth["root_lin_vel"])[:, :2]
    return truth["time"], np.concatenate([planar, truth["root_ang_vel"][:, 2:]], axis=1)


def mean_over(time: Array, values: Array, width: float) -> Array:
    """Mean (n,) of the values (n,) within `width` s around each time (n,)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low = np.searchsorted(time, time - width / 2)
    high = np.searchsorted(time, time + width / 2, side="right")
    return np.asarray((sums[high] - sums[low]) / (high - low))
