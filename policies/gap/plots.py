"""Pictures of a comparison of engines: what parted, how it grew, one period against the yardsticks, the motors."""

import numpy as np
from matplotlib.axes import Axes

from policies.figures import BLUE, GREY, INK, RED, panels, png, styled
from policies.gap.measure import Gap
from policies.gap.parting import GROUPS, Channel

_COLOURS = dict(zip(GROUPS, (BLUE, "#3a9d6e", RED, "#b98a1d", "#7b4fa3"), strict=True))
_FLOOR = 1e-3  # of the tolerance: a difference that small is drawn as this


@styled
def plots(gap: Gap) -> dict[str, bytes]:
    """Every picture by file name, as PNG."""
    return {
        "signals.png": signals(gap),
        "growth.png": growth(gap),
        "one_period.png": one_period(gap),
        "motors.png": motors(gap),
    }


def signals(gap: Gap) -> bytes:
    """Of each group, the element that parted first (or came nearest), in both engines, closed loop."""
    partings = gap.result.closed
    figure, axes = panels(len(partings), 1, 10.5, 1.2 + 1.25 * len(partings), sharex=True)
    for axis, parting in zip(axes, partings, strict=True):
        channel = next(c for c in gap.channels["closed"] if (c.group, c.signal) == (parting.group, parting.signal))
        column = channel.elements.index(parting.element)
        time, allowed = _time(gap, channel), channel.tolerance[column]
        if channel.first.shape == channel.difference.shape:
            here, title = channel.first[:, column], f"{channel.signal} {parting.element}, {parting.unit}"
        else:  # an orientation: what is compared is the turn from one to the other
            here, title = np.zeros(len(time)), f"{channel.signal}: turn about {parting.element}, {parting.unit}"
        axis.fill_between(time, here - allowed, here + allowed, color=GREY, alpha=0.35, linewidth=0, label="allowed")
        axis.plot(time, here, color=BLUE, linewidth=1.2, label=gap.result.first)
        axis.plot(time, here + channel.difference[:, column], color=RED, linewidth=1, label=gap.result.second)
        if parting.time is not None:
            axis.axvline(parting.time, color=INK, linewidth=1, linestyle="--")
        after = f"parts after {parting.time:.2f} s" if parting.time is not None else "does not part"
        axis.set_title(f"{parting.group}: {title}   ({after})", loc="left", fontsize=8)
        _legs(gap, axis)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    axes[-1].set_xlabel("time, s")
    return png(figure)


def growth(gap: Gap) -> bytes:
    """The largest difference of each group over what is allowed, closed and open loop."""
    figure, axes = panels(1, 2, 10.5, 3.6, sharey=True)
    for axis, (loop, channels) in zip(axes, gap.channels.items(), strict=True):
        for group in dict.fromkeys(channel.group for channel in channels):
            mine = [channel for channel in channels if channel.group == group]
            ratio = np.max([channel.ratio.max(axis=1) for channel in mine], axis=0)
            drawn = np.clip(np.nan_to_num(ratio, posinf=1.0 / _FLOOR), _FLOOR, 1.0 / _FLOOR)
            axis.semilogy(_time(gap, mine[0]), drawn, color=_COLOURS[group], linewidth=1.1, label=group)
        axis.axhline(1.0, color=INK, linewidth=1, linestyle="--")
        axis.set_title(f"{loop} loop", loc="left", fontsize=9)
        axis.set_xlabel("time, s")
        _legs(gap, axis)
    axes[0].set_ylabel("difference / allowed")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=5)
    return png(figure)


def one_period(gap: Gap) -> bytes:
    """What differs after one period from equal states, over what training varied; and what half a physics step does."""
    rows = gap.result.differences
    figure, axes = panels(1, 2, 10.5, 2.9, sharex=True)
    for axis, where, title in zip(
        axes, ("ground", "air"), ("from the states of the run", "from random states without contact"), strict=True
    ):
        mine = [row for row in rows if row.where == where]
        scales = [row.trained if row.trained > 0.0 else max(row.change, 1e-12) for row in mine]
        places = np.arange(len(mine))
        axis.barh(places, [row.size / s for row, s in zip(mine, scales, strict=True)], height=0.6, color=BLUE,
                  label=f"{gap.result.second} - {gap.result.first}")  # fmt: skip
        steps = [row.step / s for row, s in zip(mine, scales, strict=True)]
        axis.plot(steps, places, "|", color=INK, markersize=13, markeredgewidth=1.5,
                  label=f"half the physics step in {gap.result.first}")  # fmt: skip
        axis.axvline(1.0, color=RED, linewidth=1, linestyle="--", label="what training varied")
        axis.set_yticks(places, [row.channel for row in mine])
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_title(title, loc="left", fontsize=9)
    figure.supxlabel("root mean square, over that of the robots of training", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return png(figure)


def motors(gap: Gap) -> bytes:
    """Gains and limits of the motors as they act in both engines, over the contract's, and offsets of their targets."""
    robot = gap.robot
    driven = list(robot.actuated)
    names = [robot.joint_names[i] for i in driven]
    figure, axes = panels(1, 4, 10.5, 1.0 + 0.22 * len(names), sharey=True)
    rows = np.arange(len(names))
    for probes, colour, shift in zip(gap.probes, (BLUE, RED), (-0.18, 0.18), strict=True):
        found = probes.motors
        columns = (
            found.kp[driven] / robot.kp[driven],
            found.kd[driven] / robot.kd[driven],
            found.limit[driven] / robot.joint_effort_limit[driven],
            found.offset[driven],
        )
        for axis, values in zip(axes, columns, strict=True):
            axis.plot(values, rows + shift, "o", color=colour, markersize=4, label=probes.engine)
    for axis, title, wanted in zip(
        axes,
        ("kp / contract", "kd / contract", "torque limit / contract", "offset of the target, rad"),
        (1, 1, 1, 0),
        strict=True,
    ):
        axis.axvline(wanted, color=GREY, linewidth=1, zorder=0)
        axis.set_title(title, loc="left", fontsize=9)
        axis.grid(axis="y", visible=False)
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, wanted - 0.1), max(high, wanted + 0.1))
    axes[0].set_yticks(rows, names)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return png(figure)


def _time(gap: Gap, channel: Channel) -> np.ndarray:
    return (np.arange(len(channel.difference)) + channel.at_end) * gap.runs[0].period


def _legs(gap: Gap, axis: Axes) -> None:
    """A line where a leg begins, and its name."""
    end = axis.get_xlim()[1]
    for i, leg in enumerate(gap.result.legs):
        start = i * gap.result.leg_seconds
        if start < end:
            axis.axvline(start, color=GREY, linewidth=0.6, zorder=0)
            axis.text(
                start, 1.0, f" {leg.name}", transform=axis.get_xaxis_transform(), fontsize=6, color=GREY, va="top"
            )
