"""What a comparison of two engines finds, one fact each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Fault = Literal["contract", "task", "physics", "policy"]


@dataclass(frozen=True)
class Finding:
    """A difference with a name.

    Attributes:
        fault: whose it is. `contract`: signals, joints, gains, limits or times are not what the bundle says;
            `task`: start, ground, commands or terminations; `physics`: the same robot moves otherwise;
            `policy`: the bundle's own doing.
        engine: in which engine, or which one against the other.
        signal: what it is seen in.
        elements: joints or components that it is seen in, the worst first; empty for all.
        size: how far, in `unit`.
        sentence: all of that for humans.
    """

    fault: Fault
    engine: str
    signal: str
    elements: tuple[str, ...]
    size: float
    unit: str
    sentence: str


def listed(names: Sequence[str], most: int = 4) -> str:
    """`a, b, c`, or `a, b, c, d and 8 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def worst_first(names: Sequence[str], error: NDArray[np.floating[Any]], tolerance: float) -> tuple[str, ...]:
    """Names whose error is too large; what differs by rounding alone keeps its order."""
    rounded = np.round(error / max(float(error.max()), 1e-12), 3)
    return tuple(names[i] for i in np.argsort(-rounded, kind="stable") if error[i] > tolerance)
