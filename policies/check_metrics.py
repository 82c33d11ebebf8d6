"""Figures of merit of recorded episodes. Every one is NaN where nothing was left to measure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.check_rollout import Rollout

Array = NDArray[np.float64]

GRAVITY = 9.81  # m/s^2
MOVING = 0.1  # m/s, commanded or walked; slower than this there is no transport to speak of the cost of


@dataclass(frozen=True, eq=False)
class EpisodeMetrics:
    """One figure an episode, (N,) each, over the steps after settling and before a fall.

    Attributes:
        tracking_error: mean |v_xy - command_xy|, m/s, base frame. The body's sway within a stride counts.
        yaw_error: mean |yaw rate - commanded yaw rate|, rad/s.
        velocity: (N, 3) mean vx, vy in m/s and yaw rate in rad/s, base frame.
        transport: cost of transport, dimensionless.
        fell: whether the episode ended in a fall.
        duration: s from the start to the fall or the end.
    """

    tracking_error: Array
    yaw_error: Array
    velocity: Array
    transport: Array
    fell: NDArray[np.bool_]
    duration: Array


def episode_metrics(rollout: Rollout, settle: float, mass: Array) -> EpisodeMetrics:
    """Figures of each episode of a velocity-tracking task, whose command is (vx, vy, yaw rate).

    Args:
        settle: s after the start that do not count.
        mass: (N,) kg, of each robot.
    """
    counted = rollout.alive & (rollout.time > settle)[:, None]
    planar = rollout.base_lin_vel[..., :2].astype(np.float64)
    yaw_rate = rollout.base_ang_vel[..., 2].astype(np.float64)
    command = rollout.command.astype(np.float64)
    velocity = np.concatenate([planar, yaw_rate[..., None]], axis=2)
    return EpisodeMetrics(
        tracking_error=_mean(np.linalg.norm(planar - command[:, :2], axis=2), counted),
        yaw_error=_mean(np.abs(yaw_rate - command[:, 2]), counted),
        velocity=np.stack([_mean(velocity[..., i], counted) for i in range(3)], axis=1),
        transport=cost_of_transport(rollout, counted, mass),
        fell=rollout.fell,
        duration=rollout.alive.sum(axis=0) * rollout.period,
    )


def cost_of_transport(rollout: Rollout, counted: NDArray[np.bool_], mass: Array) -> Array:
    """Mechanical cost of transport (N,) = mean(sum_j |torque_j * velocity_j|) / (m g mean |v_xy|), no unit.

    Energy a distance and weight (Tucker, "The Energetic Cost of Moving About", American Scientist 63, 1975),
    with the mechanical power of the joints, none of which is taken back where it is negative; heat in the
    motors is not in it. NaN for episodes that are told to stand or turn on the spot, or hardly move.
    """
    power = np.abs(rollout.joint_torque.astype(np.float64) * rollout.joint_vel).sum(axis=2)
    speed = _mean(np.linalg.norm(rollout.base_lin_vel[..., :2].astype(np.float64), axis=2), counted)
    commanded = np.linalg.norm(rollout.command[:, :2], axis=1)
    moving = (commanded >= MOVING) & (speed >= MOVING)
    cost = np.full(len(mass), np.nan)
    cost[moving] = _mean(power, counted)[moving] / (mass[moving] * GRAVITY * speed[moving])
    return cost


def used_fraction(values: NDArray[np.float32], limit: Array, alive: NDArray[np.bool_]) -> NDArray[np.float32]:
    """|value| / limit (M, J) in the M steps that count, of values (T, N, J), limit (J,), alive (T, N)."""
    return np.asarray(np.abs(values[alive]) / limit, np.float32)


def percentile(values: NDArray[np.floating], percent: float = 99.0) -> float:
    """Percentile over all entries; NaN of none, and of any that is NaN."""
    return float(np.percentile(values, percent)) if values.size else float("nan")


def mean_of_known(values: Array) -> float:
    """Mean over the entries that are not NaN; NaN where all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _mean(values: Array, counted: NDArray[np.bool_]) -> Array:
    """Mean (N,) of values (T, N) over the steps that count; NaN where none does."""
    steps = counted.sum(axis=0)
    total = np.where(counted, values, 0.0).sum(axis=0)
    return np.where(steps > 0, total / np.maximum(steps, 1), np.nan)
