"""Pictures of a sweep: success along each parameter, and what parameters do jointly."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from policies.figures import BLUE, GREY, INK, RED, panels, png, styled
from policies.sweep.joint import CHANCE
from policies.sweep.margin import falling
from policies.sweep.result import Joint, Level, ParameterSweep, SweepResult

_COLUMNS = 4
_TOP = 1.35  # of the axis of success; errors over the bar go up to it
_TRAINED = "#e3ecf7"


@styled
def plots(result: SweepResult) -> dict[str, bytes]:
    """Every picture by file name, as PNG."""
    pictures = {"sweep.png": alone(result)}
    if result.joint is not None:
        pictures["joint.png"] = joint(result.joint)
    return pictures


def alone(result: SweepResult) -> bytes:
    """Success rate and error by value, one panel a parameter, smallest margin first."""
    rows = -(-len(result.parameters) // _COLUMNS)
    columns = min(_COLUMNS, len(result.parameters))
    figure, axes = panels(rows, columns, 0.6 + 2.6 * columns, 0.9 + 1.9 * rows, sharey=True)
    most = result.bounds[0].most
    for axis, one in zip(axes, result.parameters, strict=False):
        _panel(axis, one, result.settings.share, most)
    for axis in axes[len(result.parameters) :]:
        axis.set_visible(False)
    axes[0].set_ylim(-0.05, _TOP)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=8)
    return png(figure)


def _panel(axis: Axes, one: ParameterSweep, share: float, most: float) -> None:
    levels = one.levels
    values = np.array([level.value for level in levels])
    success = np.array([level.success for level in levels])
    whiskers = np.array([[level.success - level.low, level.high - level.success] for level in levels]).T
    errors = np.array([np.nan if level.error is None else level.error for level in levels]) / most
    axis.axvspan(one.low, one.high, color=_TRAINED, zorder=0, label="trained")
    axis.axhline(share, color=INK, linewidth=1, linestyle="--")
    axis.plot(values, np.minimum(errors, _TOP), color=GREY, linewidth=1, marker=".", label="error / bar")
    middle = next(i for i, level in enumerate(levels) if level.offset == 0.0)
    for side in (np.arange(middle, -1, -1), np.arange(middle, len(levels))):
        axis.plot(values[side], falling(success[side]), color=BLUE, linewidth=1.3)
    axis.errorbar(values, success, whiskers, fmt="o", color=BLUE, markersize=3, elinewidth=1, label="success, 95 %")
    for at in (one.below.value, one.above.value):
        if at is not None:
            axis.axvline(at, color=RED, linewidth=1.2)
    axis.plot([], [], color=RED, linewidth=1.2, label="fails from here on")
    unit = "" if one.unit == "1" else f", {one.unit}"
    axis.set_title(f"{one.parameter}{unit}", loc="left", fontsize=8)
    axis.tick_params(labelsize=7)
    _trim(axis, levels)


def _trim(axis: Axes, levels: Sequence[Level]) -> None:
    room = 0.04 * (levels[-1].value - levels[0].value)
    axis.set_xlim(levels[0].value - room, levels[-1].value + room)


def joint(found: Joint) -> bytes:
    """Mean absolute effect of each parameter with its 95 % interval; dashed: what may be chance."""
    effects = [effect for effect in found.effects if effect.parameter != CHANCE]
    figure, (axis,) = panels(1, 1, 7.0, 0.9 + 0.24 * len(effects))
    rows = np.arange(len(effects))
    axis.barh(
        rows,
        [effect.mu_star for effect in effects],
        height=0.62,
        xerr=[effect.confidence for effect in effects],
        color=[RED if found.stands_out(effect) else BLUE for effect in effects],
        error_kw={"ecolor": INK, "elinewidth": 1},
    )
    axis.axvline(found.floor, color=INK, linewidth=1, linestyle="--")
    axis.set_yticks(rows, [effect.parameter for effect in effects])
    axis.invert_yaxis()
    axis.set_xlim(left=0.0)
    axis.grid(axis="y", visible=False)
    axis.set_title(
        "mean absolute effect on the share of failures; dashed: what may be chance",
        loc="left",
        fontsize=9,
    )
    return png(figure)
