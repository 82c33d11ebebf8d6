"""One look for every figure, drawn without a display and returned as PNG."""

import functools
import io
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE = "#2f6db3"
RED = "#c8372d"
GREY = "#9aa4b1"
INK = "#1f2933"
_STYLE: dict[str, Any] = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6eaef",
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
}
_DPI = 110

P = ParamSpec("P")
R = TypeVar("R")


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Make everything that `function` draws look like the rest; matplotlib reads its style while it draws."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with rc_context(_STYLE):  # type: ignore[arg-type]
            return function(*args, **kwargs)

    return wrapper


def panels(
    rows: int, columns: int, width: float, height: float, margins: dict[str, float] | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` x `height` inches and its panels, row by row.

    Made apart from pyplot, whose global state is not for libraries and not for threads.

    Args:
        margins: for many panels, where working margins out from every label takes seconds.
        options: of `Figure.subplots`.
    """
    figure = Figure(figsize=(width, height), layout=None if margins else "constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    if margins:
        figure.subplots_adjust(**margins)
    return figure, list(axes.ravel())


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    # No software stamp: equal figures are equal bytes.
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
