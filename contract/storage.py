"""Files that are there completely or not at all, whatever happens while they are written."""

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Write `path` so that a reader sees the old content or the new, never a part; OSError leaves the old."""
    temporary = _beside(path, "tmp")
    try:
        _write(temporary, data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def replace_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Put `files` (names with `/`) into a directory at `path` in place of the one that may be there.

    All files are on the disk before anything at `path` changes, so a full disk (OSError) leaves the old
    directory. POSIX cannot swap directories in one call: a power cut between the two renames leaves the old
    one complete under `.NAME.RANDOM.old` beside it.
    """
    path = path.resolve()  # of a link, replace what it points to
    temporary, old = _beside(path, "tmp"), _beside(path, "old")
    try:
        _write_tree(temporary, files)
        if path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            raise
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_directory(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _write_tree(root: Path, files: Mapping[str, bytes]) -> None:
    root.mkdir(parents=True)
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        _write(root / name, data)
    for folder in {(root / name).parent for name in files} | {root}:
        _sync_directory(folder)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_directory(path: Path) -> None:
    """Make renames in `path` last through a power cut, where the system lets directories be opened."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path, purpose: str) -> Path:
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.{purpose}"
