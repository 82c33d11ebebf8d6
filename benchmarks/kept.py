"""Trials of a long benchmark in a file, so that an interrupted one goes on where it was."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contract.errors import LandbridgeError
from contract.storage import replace_file

Trials = dict[str, list[Any]]


class Kept:
    """Lists of JSON values by name.

    Args:
        path: None keeps nothing.

    Raises:
        LandbridgeError: what was kept earlier cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.trials: Trials = {}
        if path is None or not path.exists():
            return
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LandbridgeError(f"cannot read earlier trials from {path}: {error}; delete it") from None
        if not isinstance(content, dict) or not all(isinstance(values, list) for values in content.values()):
            raise LandbridgeError(f"{path} holds no trials: delete it")
        self.trials = content

    def of(self, name: str) -> list[Any]:
        """The list of that name; what is appended to it is kept with the next `save`."""
        return self.trials.setdefault(name, [])

    def save(self) -> None:
        """Write the file. LandbridgeError where that fails."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, json.dumps(self.trials).encode())
        except OSError as error:
            raise LandbridgeError(f"cannot write {self._path}: {error.strerror}") from None

    def forget(self) -> None:
        """The benchmark is through: the next one starts anew."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


@contextmanager
def until_done(path: Path | None) -> Iterator[Kept]:
    """Kept trials that are forgotten when the block is left as planned."""
    kept = Kept(path)
    yield kept
    kept.forget()
