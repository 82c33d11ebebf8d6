"""Where a policy comes from: commit, configuration, seed, packages, command, time. No local paths."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePath
from types import FunctionType
from typing import Any

import numpy as np
import torch

from contract.policy_contract import Provenance

PACKAGES = ("landbridge", "numpy", "torch", "mujoco", "onnx", "onnxscript", "onnxruntime")
_GIT_SECONDS = 10.0


def collect(config: object, seed: int, training: Mapping[str, Any], argv: Sequence[str] | None = None) -> Provenance:
    """Provenance of a run of this program that ends now.

    Args:
        config: whatever the run depends on (dataclasses, functions, plain values); only its hash is kept.
        seed: of the run.
        training: figures of the run, any JSON: steps, wall_time_s, ...
        argv: the command; None for that of this process.
    """
    commit, dirty = git_state(Path(__file__))
    return Provenance(
        git_commit=commit,
        git_dirty=dirty,
        config_hash=config_hash(config),
        seed=seed,
        command=command_line(sys.argv if argv is None else argv),
        packages=package_versions(),
        training=dict(training),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def git_state(source: Path) -> tuple[str | None, bool | None]:
    """Commit of the checkout that tracks file `source`, and whether it has uncommitted changes.

    (None, None) where there is no git, no checkout, or one that only happens to lie around an installed copy.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(source.parent), *arguments],
                capture_output=True,
                text=True,
                timeout=_GIT_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", source.name) is None:
        return None, None
    commit, status = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return (commit, None if status is None else status != "") if commit else (None, None)


def config_hash(config: object) -> str:
    """SHA-256 of a configuration: equal for equal settings, on every machine and in every process."""
    text = json.dumps(_canonical(config), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def command_line(argv: Sequence[str]) -> str:
    """The command as one line that a shell understands, absolute paths cut to their last part."""
    program = PurePath(argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name  # python -m landbridge
    line = shlex.join([name, *(_without_path(argument) for argument in argv[1:])])
    return "".join(character if character.isprintable() else " " for character in line)


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape the result, as far as they are installed."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _without_path(argument: str) -> str:
    option, separator, value = argument.rpartition("=")
    return option + separator + PurePath(value).name if PurePath(value).is_absolute() else argument


def _canonical(value: Any) -> Any:
    """Plain JSON that says all that a configuration's value says, and nothing about memory or machine."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _canonical(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__qualname__, **fields}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, PurePath):
        return value.name
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return _canonical(value.tolist())
    if isinstance(value, FunctionType):
        return _canonical_function(value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    raise TypeError(f"a configuration may not hold {type(value).__qualname__}")


def _canonical_function(function: FunctionType) -> Any:
    """Module and name, defaults, and what a function made by another one closes over."""
    return {
        "function": f"{function.__module__}.{function.__qualname__}",
        "defaults": _canonical([function.__defaults__, function.__kwdefaults__]),
        "closure": [_canonical(cell.cell_contents) for cell in function.__closure__ or ()],
    }
