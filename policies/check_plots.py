"""Pictures of a check: scores by command, margins by joint, one episode in detail, and what makes it fail."""

import numpy as np
from numpy.typing import NDArray

from policies.check_metrics import mean_of_known
from policies.evaluation import Check
from policies.figures import BLUE, GREY, INK, RED, panels, png, styled
from sim.tasks.metrics import Metric

Array = NDArray[np.float64]

_TRACE_SECONDS = 2.0
_TRACE_MARGINS = {"left": 0.05, "right": 0.96, "bottom": 0.09, "top": 0.92, "hspace": 0.4, "wspace": 0.3}
_WORST_PARAMETERS = 6


@styled
def plots(check: Check) -> dict[str, bytes]:
    """Every picture by file name, as PNG."""
    return {
        "scores.png": scores(check),
        "commands.png": commands(check),
        "margins.png": margins(check),
        "traces.png": traces(check),
        "sensitivity.png": sensitivity(check),
    }


def scores(check: Check) -> bytes:
    """What has a bar, falls, and what is neither, by command; dashed: the bar on the mean."""
    cells = check.result.cells
    spec = check.task.check
    columns: list[tuple[str, list[float], float | None]] = [
        (_with_unit(metric), [c.scores[metric.name] for c in cells], metric.limit)
        for metric in spec.metrics
        if metric.measures is None
    ]
    columns.append(("falls per episode", [c.falls / c.episodes for c in cells], spec.max_fall_rate))
    figure, axes = panels(1, len(columns), 10.5, 0.8 + 0.24 * max(len(cells), 4), sharey=True)
    rows = np.arange(len(cells))
    for axis, (title, values, bar) in zip(axes, columns, strict=True):
        known = np.nan_to_num(np.array(values))
        over = known > bar if bar is not None else np.zeros(len(known), bool)
        axis.barh(rows, known, height=0.62, color=[RED if o else BLUE for o in over])
        axis.set_title(title, fontsize=9, loc="left")
        axis.grid(axis="y", visible=False)
        if bar is not None:
            axis.axvline(bar, color=INK, linewidth=1, linestyle="--")
        axis.set_xlim(0, 1.08 * (max(float(known.max()), bar or 0.0) or 1.0))
        for row, value in enumerate(values):
            if np.isnan(value):
                axis.text(0, row, " n/a", va="center", fontsize=7, color=GREY)
    axes[0].set_yticks(rows, [cell.name for cell in cells])
    axes[0].invert_yaxis()
    return png(figure)


def commands(check: Check) -> bytes:
    """Commanded against measured, one point an episode."""
    metrics = [metric for metric in check.task.check.metrics if metric.measures is not None]
    command, fell = check.rollout.command, check.metrics.fell
    figure, axes = panels(1, len(metrics), 3.5 * len(metrics), 3.2)
    for axis, metric in zip(axes, metrics, strict=True):
        i = check.task.command.elements.index(metric.measures or "")
        measured, title = check.metrics.scores[metric.name], _with_unit(metric)
        axis.plot(command[~fell, i], measured[~fell], "o", color=BLUE, markersize=3, alpha=0.4, label="episode")
        if fell.any():
            axis.plot(command[fell, i], measured[fell], "x", color=RED, markersize=5, label="fell")
            axis.legend(loc="upper left")
        edge = 1.15 * max(float(np.abs(command[:, i]).max()), 0.1)
        axis.plot([-edge, edge], [-edge, edge], color=GREY, linewidth=1, zorder=0)
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_xlabel("commanded")
    axes[0].set_ylabel("measured, mean of an episode")
    return png(figure)


def _with_unit(metric: Metric) -> str:
    return metric.name if metric.unit == "1" else f"{metric.name}, {metric.unit}"


def margins(check: Check) -> bytes:
    """How much of its torque and velocity limit each joint uses: 50th, 99th percentile and maximum."""
    names = [check.robot.joint_names[i] for i in check.robot.actuated]
    figure, axes = panels(1, 2, 10.5, 0.9 + 0.22 * len(names), sharey=True)
    rows = np.arange(len(names))
    spec = check.task.check
    for axis, title, used, bar in (
        (axes[0], "torque / limit", check.torque_fraction, spec.max_torque_fraction),
        (axes[1], "joint velocity / limit", check.velocity_fraction, spec.max_velocity_fraction),
    ):
        if used.size:
            low, high, top = np.percentile(used, [50, 99, 100], axis=0)
            axis.barh(rows, high, height=0.6, color=BLUE, label="99th percentile")
            axis.plot(low, rows, "|", color=INK, markersize=9, markeredgewidth=1.5, label="median")
            axis.plot(top, rows, "|", color=RED, markersize=9, markeredgewidth=1.5, label="maximum")
        axis.axvline(bar, color=INK, linewidth=1, linestyle="--")
        axis.set_xlim(0, 1.05 * max(bar, float(used.max()) if used.size else 0.0))
        axis.set_title(title, loc="left", fontsize=9)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(rows, names)
    axes[0].invert_yaxis()
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return png(figure)


def example(check: Check) -> int:
    """Environment shown in detail: the median episode of the largest command, of those that did not fall."""
    command = check.rollout.command
    largest = np.abs(command[:, 0])  # what a task commands first: of a walk, straight on
    largest = largest - 0.01 * np.abs(command[:, 1:]).sum(axis=1)
    largest += 1e-3 * command[:, 0]  # forward rather than backward
    rows = np.flatnonzero(largest >= largest.max() - 1e-6)
    standing = rows[~check.metrics.fell[rows]]
    rows = standing if len(standing) else rows
    return int(rows[np.argsort(np.nan_to_num(_main_error(check)[rows], nan=np.inf))[len(rows) // 2]])


def traces(check: Check) -> bytes:
    """Joint positions against their targets, and torques, over two seconds of one episode."""
    env = example(check)
    rollout, robot = check.rollout, check.robot
    start = min(int(check.result.settle / rollout.period), max(int(rollout.alive[:, env].sum()) - 2, 0))
    window = slice(start, start + round(_TRACE_SECONDS / rollout.period))
    time = rollout.time[window]
    columns = 3
    rows = -(-robot.num_joints // columns)
    figure, axes = panels(rows, columns, 10.5, 1.35 * rows + 0.5, _TRACE_MARGINS, sharex=True)
    for joint, axis in enumerate(axes):
        if joint >= robot.num_joints:
            axis.set_visible(False)
            continue
        axis.plot(time, rollout.joint_target[window, env, joint], color=GREY, linewidth=1, label="target, rad")
        axis.plot(time, rollout.joint_pos[window, env, joint], color=BLUE, linewidth=1.3, label="position, rad")
        axis.set_title(robot.joint_names[joint], loc="left", fontsize=8)
        torque = axis.twinx()
        torque.grid(visible=False)
        torque.plot(time, rollout.joint_torque[window, env, joint], color=RED, linewidth=0.7, alpha=0.7)
        limit = float(robot.joint_effort_limit[joint]) or 1.0
        torque.set_ylim(-limit, limit)
        torque.tick_params(labelsize=7, colors=RED)
    axes[0].plot([], [], color=RED, linewidth=0.7, label="torque, N m (right)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="upper right", ncols=3)
    command = ", ".join(f"{value:+.2f}" for value in rollout.command[env])
    figure.supxlabel(f"time, s   (environment {env}, command {command})", fontsize=8)
    return png(figure)


def sensitivity(check: Check) -> bytes:
    """The randomised parameters that go most with falls, or where nothing fell, with the main error."""
    main = _main(check)
    fell = check.metrics.fell
    error = _above_own_command(check)
    values = draw_columns(check.rollout.draws)
    outcome = fell.astype(float) if fell.any() else error
    correlation = {name: rank_correlation(column, outcome) for name, column in values.items()}
    ranked = sorted(correlation, key=lambda name: -abs(correlation[name]))[:_WORST_PARAMETERS]
    if not ranked:
        figure, axes = panels(1, 1, 10.5, 1.2)
        axes[0].text(0.5, 0.5, "nothing was randomised", ha="center", va="center")
        axes[0].set_axis_off()
        return png(figure)
    figure, axes = panels(2, 3, 10.5, 4.6, sharey=True)
    ceiling = 1.2 * max(float(np.nan_to_num(error).max()), 0.01)
    for axis, name in zip(axes, ranked, strict=False):
        axis.plot(values[name][~fell], error[~fell], "o", color=BLUE, markersize=3, alpha=0.5)
        axis.plot(values[name][fell], np.full(int(fell.sum()), ceiling), "x", color=RED, markersize=5)
        axis.set_title(f"{name}   (rank correlation {correlation[name]:+.2f})", loc="left", fontsize=8)
    for axis in axes[len(ranked) :]:
        axis.set_visible(False)
    what = "falls" if fell.any() else main.name
    figure.supylabel(f"{main.name} above the mean of its command, {main.unit}", fontsize=8)
    figure.suptitle(f"ranked by correlation with {what}; crosses: fell", fontsize=8, x=0.99, ha="right")
    return png(figure)


def _main(check: Check) -> Metric:
    """What the task measures first and holds to a bar."""
    return next(metric for metric in check.task.check.metrics if metric.limit is not None)


def _main_error(check: Check) -> Array:
    """(N,) that, of each episode."""
    return check.metrics.scores[_main(check).name]


def _above_own_command(check: Check) -> Array:
    """Main error (N,) of each episode minus the mean over all that had the same command."""
    error = _main_error(check)
    above = np.full(len(error), np.nan)
    for command in np.unique(check.rollout.command, axis=0):
        rows = (check.rollout.command == command).all(axis=1)
        above[rows] = error[rows] - mean_of_known(error[rows])
    return above


def draw_columns(draws: dict[str, NDArray[np.float32]]) -> dict[str, Array]:
    """Each randomised number that differs between episodes, (N,), by name; of many joints their mean."""
    columns: dict[str, Array] = {}
    for name, values in draws.items():
        wide = values.shape[1]
        if wide > 3:
            columns[f"{name} (mean)"] = values.mean(axis=1, dtype=np.float64)
        else:
            axes = [""] if wide == 1 else [f" {axis}" for axis in "xyz"[:wide]]
            columns |= {f"{name}{axis}": values[:, i].astype(np.float64) for i, axis in enumerate(axes)}
    return {name: column for name, column in columns.items() if np.ptp(column) > 1e-9}


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's rank correlation where both are known, ties sharing their mean rank; 0 of a constant."""
    known = ~(np.isnan(first) | np.isnan(second))
    a, b = _ranks(first[known]), _ranks(second[known])
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    after = np.cumsum(counts)
    ranks: Array = (after - (counts - 1) / 2)[inverse]
    return ranks
