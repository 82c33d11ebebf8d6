"""The pictures that only a report has: learning curves, how the robot moved, and how long everything took."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from policies.figures import BLUE, GREY, INK, RED, panels, png, styled
from policies.session_log import SessionLog, mean_over

Array = NDArray[np.float64]

_CURVES = (
    ("task/tracking_error", "velocity error, m/s", 0.0),
    ("task/falls_per_minute", "falls per robot and minute", 0.0),
    ("task/reward_per_second", "reward per second", None),
    ("episode/seconds", "episode length, s", 0.0),
    ("policy/action_std", "exploration noise (action)", 0.0),
    ("loss/explained_variance", "explained variance of the critic", None),
    ("policy/kl", "KL divergence of an update", 0.0),
    ("speed/steps_per_second", "control steps per second", 0.0),
)
_SMOOTHED_OVER = 0.02  # of the run
_LEAST_SPAN = 0.2  # m/s and rad/s around the command, so that a standing robot's sway does not look like motion


@styled
def learning_curves(metrics: Mapping[str, Array]) -> bytes:
    """Figures of a training run over control steps, as logged (pale) and smoothed; what was not logged is left out."""
    curves = [curve for curve in _CURVES if np.isfinite(metrics.get(curve[0], np.full(1, np.nan))).any()]
    rows = max(-(-len(curves) // 4), 1)
    figure, axes = panels(rows, 4, 10.5, 2.1 * rows)
    steps = metrics["steps"] / 1e6
    for axis, (name, title, floor) in zip(axes, curves, strict=False):
        values = metrics[name]
        axis.plot(steps, values, color=BLUE, linewidth=0.6, alpha=0.35)
        axis.plot(steps, smoothed(values), color=BLUE, linewidth=1.4)
        axis.set_title(title, loc="left", fontsize=8)
        if floor is not None:
            axis.set_ylim(bottom=floor)
    for axis in axes[len(curves) :]:
        axis.set_visible(False)
    figure.supxlabel("million control steps", fontsize=8)
    return png(figure)


def smoothed(values: Array) -> Array:
    """Centred moving average over a fiftieth of the samples, ends included, entries that are NaN left out."""
    half = int(len(values) * _SMOOTHED_OVER / 2)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    number = counts[high] - counts[low]
    return np.where(number > 0, (sums[high] - sums[low]) / np.maximum(number, 1), np.nan)


@styled
def motion(log: SessionLog) -> bytes:
    """Velocity of the robot in its own frame while the policy drove, against the command."""
    rows = (log.time >= -1.0) & (log.time <= log.end - log.start + 1.0)
    time, velocity = log.time[rows], log.velocity[rows]
    figure, axes = panels(1, 3, 10.5, 2.5)
    for i, (axis, title) in enumerate(zip(axes, ("vx, m/s", "vy, m/s", "yaw rate, rad/s"), strict=True)):
        axis.plot(time, velocity[:, i], color=BLUE, linewidth=0.5, alpha=0.4)
        axis.plot(time, mean_over(time, velocity[:, i], 0.5), color=BLUE, linewidth=1.4, label="mean of 0.5 s")
        axis.axhline(log.summary["command"][i], color=INK, linestyle="--", linewidth=1, label="command")
        axis.set_title(title, loc="left", fontsize=9)
        low, high = axis.get_ylim()
        wanted = log.summary["command"][i]
        axis.set_ylim(min(low, wanted - _LEAST_SPAN), max(high, wanted + _LEAST_SPAN))
        axis.set_xlabel("s since the policy took over")
        for trip in log.summary["trips"]:
            axis.axvline(trip["time"], color=RED, linewidth=0.8)
    axes[0].legend(fontsize=7, loc="lower center")
    return png(figure)


@styled
def timing(log: SessionLog) -> bytes:
    """Histograms of loop periods and of the delay from sensors to command, in ms, with median and 99th percentile."""
    figure, axes = panels(1, 3, 10.5, 2.5)
    for axis, values, title in (
        (axes[0], log.robot_periods, "period of robot_node, ms"),
        (axes[1], log.policy_periods, "period of the policy, ms"),
        (axes[2], log.delays, "sensor sample to command on the bus, ms"),
    ):
        _histogram(axis, 1e3 * values, title)
    axes[0].set_ylabel("count")
    return png(figure)


def _histogram(axis: Axes, values: Array, title: str) -> None:
    if not len(values):
        axis.set_title(title, loc="left", fontsize=9)
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color=GREY)
        return
    median, high = np.percentile(values, [50, 99])
    # A lone outlier must not squeeze everything else into one bar; it is counted in the last one.
    edge = max(float(np.percentile(values, 99.8)), median * 1.05)
    bins = np.linspace(min(float(values.min()), median * 0.95), edge, 60)
    axis.hist(np.minimum(values, edge), bins=list(bins), color=BLUE)
    axis.set_yscale("log")
    for value in (median, high):
        axis.axvline(value, color=INK, linestyle="--", linewidth=0.8)
    axis.set_title(f"{title}\np50 {median:.2f}, p99 {high:.2f}", loc="left", fontsize=9)
