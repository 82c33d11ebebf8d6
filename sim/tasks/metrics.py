"""Figures of merit of recorded episodes, one number an episode. Every one is NaN where nothing was left to measure."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.rollout import Rollout

Array = NDArray[np.float64]
Counted = NDArray[np.bool_]  # (T, N) the steps that count: after settling and before a fall

GRAVITY = 9.81  # m/s^2
MOVING = 0.1  # m/s, commanded or walked; slower than this there is no transport to speak of the cost of


@dataclass(frozen=True)
class Metric:
    """One column of a check.

    Attributes:
        name: what is measured.
        label: the name in a narrow table.
        unit: SI unit.
        function: gives (N,) from a rollout and the steps (T, N) of it that count.
        limit: the bar: the mean over all commands must not be more; None where there is no bar.
        measures: the element of the command that this is the measured value of, for a plot of one over the other.
    """

    name: str
    label: str
    unit: str
    function: Callable[[Rollout, Counted], Array]
    limit: float | None = None
    measures: str | None = None


def velocity_error(rollout: Rollout, counted: Counted) -> Array:
    """Mean |v_xy - command_xy|, m/s, base frame. The body's sway within a stride counts."""
    planar = rollout.base_lin_vel[..., :2].astype(np.float64)
    return mean_counted(np.linalg.norm(planar - rollout.command[:, :2].astype(np.float64), axis=2), counted)


def yaw_rate_error(rollout: Rollout, counted: Counted) -> Array:
    """Mean |yaw rate - commanded yaw rate|, rad/s."""
    return mean_counted(
        np.abs(rollout.base_ang_vel[..., 2].astype(np.float64) - rollout.command[:, 2].astype(np.float64)), counted
    )


def base_velocity(axis: int) -> Callable[[Rollout, Counted], Array]:
    """Makes a metric: mean linear velocity of the base along `axis` of its own frame, m/s."""
    return lambda rollout, counted: mean_counted(rollout.base_lin_vel[..., axis].astype(np.float64), counted)


def yaw_rate(rollout: Rollout, counted: Counted) -> Array:
    """Mean yaw rate of the base, rad/s."""
    return mean_counted(rollout.base_ang_vel[..., 2].astype(np.float64), counted)


def joint_position(joint: int) -> Callable[[Rollout, Counted], Array]:
    """Makes a metric: mean position of one joint, rad or m."""
    return lambda rollout, counted: mean_counted(rollout.joint_pos[..., joint].astype(np.float64), counted)


def joint_error(joint: int, element: int | None = None) -> Callable[[Rollout, Counted], Array]:
    """Makes a metric: mean |position of a joint - element of the command|, or of the position alone, rad or m."""

    def function(rollout: Rollout, counted: Counted) -> Array:
        wanted = 0.0 if element is None else rollout.command[:, element].astype(np.float64)
        return mean_counted(np.abs(rollout.joint_pos[..., joint].astype(np.float64) - wanted), counted)

    return function


def cost_of_transport(rollout: Rollout, counted: Counted) -> Array:
    """Mechanical cost of transport (N,) = mean(sum_j |torque_j * velocity_j|) / (m g mean |v_xy|), no unit.

    Energy a distance and weight (Tucker, "The Energetic Cost of Moving About", American Scientist 63, 1975),
    with the mechanical power of the joints, none of which is taken back where it is negative; heat in the
    motors is not in it. NaN for episodes that are told to stand or turn on the spot, or hardly move.
    """
    power = np.abs(rollout.joint_torque.astype(np.float64) * rollout.joint_vel).sum(axis=2)
    speed = mean_counted(np.linalg.norm(rollout.base_lin_vel[..., :2].astype(np.float64), axis=2), counted)
    commanded = np.linalg.norm(rollout.command[:, :2], axis=1)
    moving = (commanded >= MOVING) & (speed >= MOVING)
    cost = np.full(len(speed), np.nan)
    cost[moving] = mean_counted(power, counted)[moving] / (rollout.mass[moving] * GRAVITY * speed[moving])
    return cost


def mean_counted(values: Array, counted: Counted) -> Array:
    """Mean (N,) of values (T, N) over the steps that count; NaN where none does."""
    steps = counted.sum(axis=0)
    total = np.where(counted, values, 0.0).sum(axis=0)
    return np.where(steps > 0, total / np.maximum(steps, 1), np.nan)


VELOCITY_TRACKING = (
    Metric("vx", "vx", "m/s", base_velocity(0), measures="vx"),
    Metric("vy", "vy", "m/s", base_velocity(1), measures="vy"),
    Metric("yaw rate", "yaw", "rad/s", yaw_rate, measures="yaw_rate"),
    Metric("tracking error", "e_xy", "m/s", velocity_error),
    Metric("yaw rate error", "e_yaw", "rad/s", yaw_rate_error),
    Metric("cost of transport", "CoT", "1", cost_of_transport),
)
"""What is measured where the command is (vx, vy, yaw rate); a task adds its bars with `with_limits`."""


def with_limits(metrics: tuple[Metric, ...], **limits: float) -> tuple[Metric, ...]:
    """The metrics with bars: `with_limits(metrics, tracking_error=0.2)`.

    Raises:
        ValueError: no metric has that name.
    """
    wanted = {name.replace("_", " "): value for name, value in limits.items()}
    unknown = sorted(set(wanted) - {metric.name for metric in metrics})
    if unknown:
        raise ValueError(f"no metric is called '{unknown[0]}'; there are {', '.join(m.name for m in metrics)}")
    return tuple(replace(m, limit=wanted.get(m.name, m.limit)) for m in metrics)
