"""Named files in and out of directories and zip archives that may be hostile.

Everything is read into memory, never extracted, so that no name in an archive can reach the file system.
Reading is bounded: `Allowed` gives the most bytes that a file may have, by name; the number of files, their size and
how far an archive expands are judged before any of it is unpacked. Links, devices, encrypted or repeated members are
refused, and so are names that differ in case alone, of which some systems keep only one. Zip files are written
uncompressed with a fixed date, so that equal content gives equal bytes with every version of zlib.
"""

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO

from contract.errors import BundleError

Allowed = Callable[[str], int | None]
"""Most bytes of the file with this name (POSIX separators), or None where no such file may be."""

_END = b"PK\x05\x06"
_END64_LOCATOR = b"PK\x06\x07"
_END_SIZE, _LOCATOR_SIZE, _MAX_COMMENT = 22, 20, 65535
_MAX_DIRECTORY = 64 * 1024  # bytes of the list of members: hundreds of them
_MAX_FILES = 1000  # in one folder
_MAX_EXPANSION = 100  # times the size of the archive; weights and pictures do not reach 2
_HARMLESS = 16 * 1024 * 1024  # bytes that any archive may expand to
_FOLDER = re.compile(r"[A-Za-z0-9_-]+/")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that the format can say


def read_directory(path: Path, allowed: Allowed, total: int) -> dict[str, bytes]:
    """All files below `path` by name, at most `total` bytes together.

    BundleError at the first that is not allowed, too large or not a plain file.
    """
    files: dict[str, bytes] = {}
    try:
        for name in _distinct(_walk(path), str(path)):
            files[name] = _read_plain_file(path / name, name, min(_limit(name, allowed), total))
            total -= len(files[name])
    except OSError as error:
        raise BundleError(f"{path}: {_reason(error)}") from None
    return files


def read_zip(source: Path | bytes, name: str, allowed: Allowed, total: int) -> dict[str, bytes]:
    """All files of a zip archive, at most `total` bytes together; messages call the archive `name`."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            size = _check_directory_size(stream, name)
            with zipfile.ZipFile(stream) as archive:
                members = _check_members(archive, name, allowed, total, size)
                return {file: _unpack(archive, member) for file, member in members.items()}
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


def check_names(names: Iterable[str], source: str) -> None:
    """BundleError where two names of the files of `source` differ in nothing but case, or not at all."""
    for _ in _distinct(names, source):
        continue


def _distinct(names: Iterable[str], source: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in names:
        before = seen.get(name.casefold())
        if before == name:
            raise BundleError(f"{_shown(name)}: appears twice in {source}")
        if before is not None:
            raise BundleError(
                f"{_shown(name)}: differs from {_shown(before)} in case alone, and some systems take them for one file:"
                " rename one"
            )
        seen[name.casefold()] = name
        yield name


def _walk(path: Path) -> Iterator[str]:
    """Names of all files, at most one folder deep."""
    for entry in _entries(path):
        if not entry.is_dir(follow_symlinks=False):
            yield entry.name
            continue
        for inner in _entries(path / entry.name):
            name = f"{entry.name}/{inner.name}"
            if inner.is_dir(follow_symlinks=False):
                raise BundleError(f"{_shown(name)}: unexpected folder in the bundle")
            yield name


def _entries(path: Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        found = list(islice(entries, _MAX_FILES + 1))
    if len(found) > _MAX_FILES:
        raise BundleError(f"{path}: holds too many files for a bundle")
    return sorted(found, key=lambda entry: entry.name)


def _read_plain_file(path: Path, name: str, limit: int) -> bytes:
    # NOFOLLOW refuses a link, NONBLOCK keeps a named pipe from hanging us until fstat tells what it is.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise BundleError(f"{name}: must be a plain file, not a link")
    with os.fdopen(os.open(path, flags), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise BundleError(f"{name}: must be a plain file")
        return _read_bounded(stream, name, limit)


def _check_members(
    archive: zipfile.ZipFile, name: str, allowed: Allowed, total: int, size: int
) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive of `size` bytes by name, all that is declared about them within bounds."""
    members = [member for member in archive.infolist() if not _is_folder(member)]
    check_names((member.filename for member in members), name)
    declared = 0
    for member in members:
        _check_member(member, _limit(member.filename, allowed))
        declared += member.file_size
    if declared > total:
        raise BundleError(f"{name}: unpacked larger than the {total} bytes that are allowed")
    if declared > max(_HARMLESS, _MAX_EXPANSION * size):
        raise BundleError(f"{name}: expands to more than {_MAX_EXPANSION} times its size, as no policy does")
    return {member.filename: member for member in members}


def _is_folder(member: zipfile.ZipInfo) -> bool:
    if not member.filename.endswith("/"):  # not is_dir(), which fails for the empty name
        return False
    if not _FOLDER.fullmatch(member.filename):
        raise BundleError(f"{_shown(member.filename)}: unexpected folder in the bundle")
    return True


def _check_member(member: zipfile.ZipInfo, limit: int) -> None:
    file = member.filename
    if member.orig_filename != file:  # cut at a NUL, or taken from an extra field: other tools see another name
        raise BundleError(f"{file}: has a second name {_shown(member.orig_filename)}: make the archive again")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise BundleError(f"{file}: must be a plain file, not a link or device")
    if member.flag_bits & 0x1:
        raise BundleError(f"{file}: encrypted archives cannot be read")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(f"{file}: compressed by an unusual method: make the archive with `zip`")
    if member.file_size > limit:
        raise BundleError(_too_large(file, limit))


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:  # gives what was declared and no more, whatever is in it, if the CRC fits
        data = stream.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise zipfile.BadZipFile
    return data


def _read_bounded(stream: IO[bytes], name: str, limit: int) -> bytes:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise BundleError(_too_large(name, limit))
    return data


def _too_large(name: str, limit: int) -> str:
    return f"{name}: larger than the {limit} bytes that are allowed"


def _check_directory_size(stream: IO[bytes], name: str) -> int:
    """Refuse an enormous list of members before `zipfile` builds an object for each; bytes of the archive."""
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
    return size


def _limit(name: str, allowed: Allowed) -> int:
    limit = allowed(name)
    if limit is None:
        raise BundleError(f"{_shown(name)}: unexpected file: a bundle holds nothing beside its own files")
    return limit


def _shown(name: str) -> str:
    """A name that nobody has approved, in a message: one line, bounded."""
    text = ascii(name)[1:-1]
    return text if len(text) <= 100 else text[:97] + "..."


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
