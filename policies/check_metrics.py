"""Figures of recorded episodes and of their commands. Every one is NaN where nothing was left to measure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.rollout import Rollout
from sim.tasks.metrics import Metric

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EpisodeMetrics:
    """One figure an episode, (N,) each.

    Attributes:
        scores: of each metric of the task, over the steps after settling and before a fall, in the metric's unit.
        fell: whether the episode ended in a fall.
        duration: s from the start to the fall or the end.
    """

    scores: dict[str, Array]
    fell: NDArray[np.bool_]
    duration: Array


def episode_metrics(rollout: Rollout, settle: float, metrics: Sequence[Metric]) -> EpisodeMetrics:
    """Figures of each episode; `settle` s after the start do not count."""
    counted = rollout.alive & (rollout.time > settle)[:, None]
    return EpisodeMetrics(
        scores={metric.name: metric.function(rollout, counted) for metric in metrics},
        fell=rollout.fell,
        duration=rollout.alive.sum(axis=0) * rollout.period,
    )


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
