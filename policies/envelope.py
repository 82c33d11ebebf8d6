"""What the signals looked like in training: the envelope that the robot's signals are compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from contract.policy_contract import SignalStatistics

PERCENTILES = (0.1, 99.9)


def signal_statistics(samples: Mapping[str, NDArray[np.floating]]) -> dict[str, SignalStatistics]:
    """Statistics of each signal over its samples, `(n, *shape)`, in its own unit."""
    return {name: _statistics(array) for name, array in samples.items()}


def _statistics(samples: NDArray[np.floating]) -> SignalStatistics:
    values = samples.reshape(len(samples), -1).astype(np.float64)
    lowest, highest = values.min(axis=0), values.max(axis=0)
    # Interpolation between two equal samples may round past them.
    low, high = np.clip(np.percentile(values, PERCENTILES, axis=0), lowest, highest)
    columns = (values.mean(axis=0), values.std(axis=0), lowest, highest, low, high)
    return SignalStatistics(*(tuple(column.tolist()) for column in columns))
