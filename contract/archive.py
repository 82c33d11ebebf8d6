"""Named files in and out of directories and zip archives that may be hostile.

Everything is read into memory, never extracted, so that no name in an archive can reach the file system.
Reading is bounded: `Allowed` gives the most bytes that a file may have, by name, before any of it is read.
Links, devices, encrypted or repeated members are refused. Zip files are written uncompressed with a fixed
date, so that equal content gives equal bytes with every version of zlib.
"""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from contract.errors import BundleError

Allowed = Callable[[str], int | None]
"""Most bytes of the file with this name (POSIX separators), or None where no such file may be."""

_END = b"PK\x05\x06"
_END64_LOCATOR = b"PK\x06\x07"
_END_SIZE, _LOCATOR_SIZE, _MAX_COMMENT = 22, 20, 65535
_MAX_DIRECTORY = 64 * 1024  # bytes of the list of members: hundreds of them
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that the format can say


def read_directory(path: Path, allowed: Allowed, total: int) -> dict[str, bytes]:
    """All files below `path` by name, at most `total` bytes together.

    BundleError at the first that is not allowed, too large or not a plain file.
    """
    files: dict[str, bytes] = {}
    try:
        for name in _walk(path, ""):
            files[name] = _read_plain_file(path / name, name, min(_limit(name, allowed), total))
            total -= len(files[name])
    except OSError as error:
        raise BundleError(f"{path}: {_reason(error)}") from None
    return files


def read_zip(source: Path | bytes, name: str, allowed: Allowed, total: int) -> dict[str, bytes]:
    """All files of a zip archive, at most `total` bytes together; messages call the archive `name`."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            _check_directory_size(stream, name)
            with zipfile.ZipFile(stream) as archive:
                return _read_members(archive, name, allowed, total)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        struct.error,
        ValueError,
        OverflowError,
        NotImplementedError,
    ):
        # Which of these zipfile raises depends on the damaged field that it met.
        raise BundleError(f"{name}: damaged zip archive: copy it again from its source") from None
    except OSError as error:
        raise BundleError(f"{name}: {_reason(error)}") from None


def write_zip(files: Mapping[str, bytes]) -> bytes:
    """A zip archive; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, date_time=_EPOCH)
            member.create_system = 3  # Unix, wherever it was written
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, files[name])
    return buffer.getvalue()


def _walk(path: Path, prefix: str) -> Iterator[str]:
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                if prefix:
                    raise BundleError(f"{ascii(prefix + entry.name)[1:-1]}: unexpected folder in the bundle")
                yield from _walk(path / entry.name, f"{entry.name}/")
            else:
                yield prefix + entry.name


def _read_plain_file(path: Path, name: str, limit: int) -> bytes:
    # NOFOLLOW refuses a link, NONBLOCK keeps a named pipe from hanging us until fstat tells what it is.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise BundleError(f"{name}: must be a plain file, not a link")
    with os.fdopen(os.open(path, flags), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise BundleError(f"{name}: must be a plain file")
        return _read_bounded(stream, name, limit)


def _read_members(archive: zipfile.ZipFile, name: str, allowed: Allowed, total: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for member in archive.infolist():
        file = member.filename
        if member.is_dir():
            continue
        limit = _limit(file, allowed)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise BundleError(f"{file}: must be a plain file, not a link or device")
        if file in files:
            raise BundleError(f"{file}: appears twice in {name}")
        if member.flag_bits & 0x1:
            raise BundleError(f"{file}: encrypted archives cannot be read")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(f"{file}: compressed by an unusual method: make the archive with `zip`")
        with archive.open(member) as stream:
            files[file] = _read_bounded(stream, file, min(limit, total))
        total -= len(files[file])
    return files


def _read_bounded(stream: IO[bytes], name: str, limit: int) -> bytes:
    data = stream.read(limit + 1)  # the size that an archive declares may lie: count what comes
    if len(data) > limit:
        raise BundleError(f"{name}: larger than the {limit} bytes that are allowed")
    return data


def _check_directory_size(stream: IO[bytes], name: str) -> None:
    """Refuse an enormous list of members before `zipfile` builds an object for each of them."""
    size = stream.seek(0, io.SEEK_END)
    start = max(0, size - _END_SIZE - _MAX_COMMENT - _LOCATOR_SIZE)
    stream.seek(start)
    tail = stream.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_SIZE:
        raise zipfile.BadZipFile
    directory_size = struct.unpack_from("<L", tail, end + 12)[0]
    if directory_size > _MAX_DIRECTORY or tail[max(0, end - _LOCATOR_SIZE) : end].startswith(_END64_LOCATOR):
        raise BundleError(f"{name}: lists too many files for a bundle")


def _limit(name: str, allowed: Allowed) -> int:
    limit = allowed(name)
    if limit is None:
        raise BundleError(f"{ascii(name)[1:-1]}: unexpected file: a bundle holds nothing beside its own files")
    return limit


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
