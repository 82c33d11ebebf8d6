"""A log of numbers of bounded size, cheap enough for a control loop, and its file."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contract import storage
from contract.errors import LandbridgeError


class RingLog:
    """Keeps the newest `capacity` rows. Memory is reserved at once, and taken from the system as rows are
    written.

    Args:
        fields: name and shape of each column, float64; `()` for a number.
        capacity: rows.
    """

    def __init__(self, fields: Mapping[str, tuple[int, ...]], capacity: int) -> None:
        self._rows = np.zeros(capacity, dtype=[(name, np.float64, shape) for name, shape in fields.items()])
        self._count = 0

    def append(self, *values: ArrayLike) -> None:
        """Add a row: one value for each field, in order."""
        self._rows[self._count % len(self._rows)] = values
        self._count += 1

    def __len__(self) -> int:
        return min(self._count, len(self._rows))

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Each field as (rows, *shape), oldest first."""
        rows = self._rows[: len(self)]
        if self._count > len(self._rows):
            rows = np.roll(rows, -(self._count % len(self._rows)))
        return {name: rows[name].copy() for name in rows.dtype.names or ()}


def save_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an npz file in one step. LandbridgeError where it cannot be written (a full disk, no such
    folder).
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        storage.replace_file(path, buffer.getvalue())
    except OSError as error:
        raise LandbridgeError(f"{path}: the log could not be written: {error.strerror}") from None
