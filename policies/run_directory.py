"""The directory of one training run: configuration, provenance, metrics, TensorBoard, checkpoints."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.errors import LandbridgeError, UsageError
from contract.storage import replace_file

CONFIG = "config.json"
PROVENANCE = "provenance.json"
RANDOMISATION = "randomisation.json"


@dataclass(frozen=True)
class RunDirectory:
    """What a run leaves under one path.

    `config.json`, `provenance.json`, `randomisation.json`, `metrics.jsonl`, `tensorboard/` and `checkpoints/`.
    """

    path: Path

    @staticmethod
    def create(out: Path, recipe: str) -> RunDirectory:
        """A new directory `OUT/RECIPE/TIMESTAMP`.

        Raises:
            LandbridgeError: it cannot be made.
        """
        stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        for suffix in ("", *(f"_{i}" for i in range(2, 100))):
            path = out / recipe / f"{stamp}{suffix}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if not path.exists():  # a part of the path is a file
                    raise LandbridgeError(f"cannot make {path}: a part of that path is a file") from None
                continue
            except OSError as error:
                raise LandbridgeError(f"cannot make {path}: {error.strerror}") from None
            return RunDirectory(path)
        raise LandbridgeError(f"{out / recipe} holds too many runs of this second")

    @staticmethod
    def existing(path: Path) -> RunDirectory:
        """The directory of an earlier run.

        Raises:
            UsageError: `path` is not one.
        """
        if not (path / CONFIG).is_file():
            raise UsageError(f"{path} is not the directory of a training run: it has no {CONFIG}")
        return RunDirectory(path)

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints go."""
        return self.path / "checkpoints"

    def write_json(self, name: str, content: Any) -> None:
        """Write a file of the run, whole or not at all.

        Raises:
            LandbridgeError: the disk is full or not writable.
        """
        try:
            replace_file(self.path / name, (json.dumps(content, indent=2) + "\n").encode())
        except OSError as error:
            raise LandbridgeError(f"cannot write {self.path / name}: {error.strerror}") from None

    def read_json(self, name: str) -> Any:
        """Read a file of the run.

        Raises:
            LandbridgeError: it is missing or damaged.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LandbridgeError(f"cannot read {self.path / name}: {error}") from None
