"""`metrics.jsonl`, the figures of a training run, a line an iteration: training writes, reports read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.errors import LandbridgeError
from contract.storage import replace_file

FILE = "metrics.jsonl"


class MetricsFile:
    """Appends one record an iteration. A resumed run first drops what was written after its checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, iteration: int, figures: Mapping[str, float]) -> None:
        """Write one record; figures that are not finite are written as null."""
        record = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"iteration": iteration, **record}) + "\n")

    def drop_after(self, iteration: int) -> None:
        """Keep the records up to and including `iteration`."""
        if not self.path.exists():
            return
        kept = [json.dumps(record) for record in read_records(self.path) if record["iteration"] <= iteration]
        replace_file(self.path, "".join(f"{line}\n" for line in kept).encode())


def read_records(path: Path) -> list[dict[str, float]]:
    """The records of a file or of a run directory, oldest first. A last line that was cut short is left out.

    Raises:
        LandbridgeError: there is no such file, or a line in it is damaged.
    """
    path = path / FILE if path.is_dir() else path
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LandbridgeError(f"cannot read the metrics of a training run from {path}: {error}") from None
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise LandbridgeError(f"{path} line {number} is not a record of a training run") from None
    return records


def read_metrics(path: Path) -> dict[str, NDArray[np.float64]]:
    """The same as one array a figure, (iterations,), NaN where a record does not have it.

    Raises:
        LandbridgeError: as `read_records`.
    """
    records = read_records(path)
    names = dict.fromkeys(name for record in records for name in record)

    def column(name: str) -> NDArray[np.float64]:
        values = (record.get(name) for record in records)
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)

    return {name: column(name) for name in names}
