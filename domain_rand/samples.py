"""Measured values from a file: what an empirical distribution is made of."""

from pathlib import Path

import numpy as np

from contract.errors import UsageError


def read_samples(path: Path) -> tuple[float, ...]:
    """The numbers of a file: a `.npy` array of any shape, or text with one number a line.

    Text may have several numbers a line, between commas or blanks, comments after `#`, and a first line that is a
    header; as a `.csv` has.

    Raises:
        UsageError: the file cannot be read, holds no number, or something else than finite ones.
    """
    try:
        values = _of_array(path) if path.suffix == ".npy" else _of_text(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if values.size == 0:
        raise UsageError(f"{path}: holds no number")
    if not np.isfinite(values).all():
        raise UsageError(f"{path}: holds a number that is not finite")
    return tuple(values.tolist())


def _of_array(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise UsageError(f"{path}: is not an array of numbers that numpy.save has written") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        raise UsageError(f"{path}: is not an array of real numbers")
    return values.astype(np.float64).ravel()


def _of_text(path: Path) -> np.ndarray:
    values: list[float] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is neither text nor, by its name, a .npy") from None
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        try:
            values += map(float, words)
        except ValueError:
            if number > 1:
                raise UsageError(f"{path}: line {number} holds something else than numbers") from None
    return np.array(values, np.float64)
