"""Checkpoints of a training run: written whole or not at all, the newest kept, read without running code."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contract.errors import LandbridgeError
from contract.storage import replace_file

_NAME = re.compile(r"iteration_(\d+)\.pt")
_MAGIC = b"landbridge checkpoint 1\n"


class CheckpointError(LandbridgeError):
    """A checkpoint could not be written or read."""


class CheckpointStore:
    """The checkpoints `iteration_NNNNNN.pt` of one directory.

    A file is a line that names the format, the SHA-256 of the rest, and the rest: what `torch.save` writes. A
    changed bit is found before anything is read from it.
    """

    def __init__(self, directory: Path, keep: int = 3) -> None:
        self.directory = directory
        self.keep = keep

    def paths(self) -> list[Path]:
        """All checkpoints, newest first."""
        if not self.directory.is_dir():
            return []
        found = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=iteration_of, reverse=True)

    def save(self, iteration: int, state: dict[str, Any]) -> Path:
        """Write `state` (nested dicts and lists of tensors, numbers and strings), then drop the oldest.

        Raises:
            CheckpointError: the disk is full or not writable; what was there is untouched.
        """
        path = self.directory / f"iteration_{iteration:06d}.pt"
        stream = io.BytesIO()
        torch.save(state, stream)
        body = stream.getvalue()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            replace_file(path, _MAGIC + hashlib.sha256(body).digest() + body)
        except OSError as error:
            kept = self.paths()
            intact = f"{kept[0]} is intact" if kept else "there is no earlier one"
            raise CheckpointError(f"cannot write checkpoint {path}: {error.strerror}; {intact}") from None
        for old in self.paths()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def load_newest(self) -> tuple[dict[str, Any], Path, list[str]]:
        """The newest checkpoint that is whole, its path, and one sentence for each newer one that is damaged.

        Raises:
            CheckpointError: there is none, or none is whole.
        """
        damaged: list[str] = []
        for path in self.paths():
            try:
                return load(path), path, damaged
            except CheckpointError as error:
                damaged.append(str(error))
        if damaged:
            raise CheckpointError(f"no checkpoint in {self.directory} is whole: {'; '.join(damaged)}")
        raise CheckpointError(f"{self.directory} holds no checkpoint")


def load(path: Path) -> dict[str, Any]:
    """Read one checkpoint.

    Raises:
        CheckpointError: it is missing, damaged, or not a checkpoint.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read checkpoint {path}: {error.strerror}") from None
    digest, body = data[len(_MAGIC) : len(_MAGIC) + 32], data[len(_MAGIC) + 32 :]
    if not data.startswith(_MAGIC):
        raise CheckpointError(f"{path} is not a checkpoint of this version of Landbridge, or its beginning is damaged")
    if hashlib.sha256(body).digest() != digest:
        raise CheckpointError(f"checkpoint {path} is damaged: its content does not match its hash")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise CheckpointError(f"checkpoint {path} holds something else than tensors and numbers: {error}") from None
    return state


def iteration_of(path: Path) -> int:
    """The iteration that a checkpoint's name states."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise CheckpointError(f"{path} is not named like a checkpoint (iteration_NNNNNN.pt)")
    return int(match.group(1))


def random_state() -> dict[str, Any]:
    """State of the global random generators of torch, GPUs included, and numpy."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": {
            "kind": str(kind),
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(gauss),
        },
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Inverse of `random_state`."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    numpy = state["numpy"]
    keys = numpy["keys"].numpy().astype(np.uint32)
    np.random.set_state((numpy["kind"], keys, numpy["position"], numpy["has_gauss"], numpy["gauss"]))  # noqa: NPY002
