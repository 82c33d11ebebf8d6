"""`manifest.json`: the SHA-256 of every other file of a bundle. Its own SHA-256 is the bundle's digest."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from contract import codec
from contract.errors import BundleError

FILE = "manifest.json"
SIGNATURE = "signature.json"
"""May lie beside the manifest, which it signs and hence cannot be listed in (contract/signature.py)."""

FORMAT = "landbridge-bundle"
VERSION = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """The SHA-256 (lower-case hexadecimal) of each file by name."""

    format: str
    version: int
    files: Mapping[str, str]


def make(files: Mapping[str, bytes]) -> bytes:
    """`manifest.json` for these files."""
    hashes = {name: _sha256(data) for name, data in files.items()}
    return _canonical(Manifest(FORMAT, VERSION, hashes))


def verify(files: Mapping[str, bytes]) -> Manifest:
    """Check the files of a bundle against its manifest; BundleError names the first that is not as listed."""
    manifest = _parse(content(files))
    for name, sha256 in manifest.files.items():
        if name not in files:
            raise BundleError(f"{name}: missing: {FILE} lists it")
        if _sha256(files[name]) != sha256:
            raise BundleError(
                f"{name}: changed since the bundle was written: its SHA-256 is not the manifest's; get the original"
            )
    for name in files:
        if name not in manifest.files and name not in (FILE, SIGNATURE):
            raise BundleError(f"{name}: not listed in {FILE}: it was added after the bundle was written: remove it")
    return manifest


def content(files: Mapping[str, bytes]) -> bytes:
    """`manifest.json` as it is, unchecked; BundleError where there is none."""
    if FILE not in files:
        raise BundleError(f"{FILE}: missing: not a bundle, or not a complete one")
    return files[FILE]


def digest(files: Mapping[str, bytes]) -> str:
    """The SHA-256 of the manifest: names this bundle and every byte in it."""
    return _sha256(files[FILE])


def _parse(data: bytes) -> Manifest:
    manifest = codec.loads(Manifest, data, FILE, first=_check_version)
    if manifest.format != FORMAT:
        raise BundleError(f"{FILE}: format: must be {FORMAT!r}, got {codec.show(manifest.format)}")
    for name, sha256 in manifest.files.items():
        if name in (FILE, SIGNATURE):
            raise BundleError(f"{FILE}: files: must not list {name}")
        if not _SHA256.fullmatch(sha256):
            raise BundleError(f"{FILE}: files.{name}: must be a SHA-256 in lower-case hexadecimal")
    if data != _canonical(manifest):
        # One form only: otherwise one bundle could have many digests.
        raise BundleError(f"{FILE}: changed since the bundle was written: not in the form that Landbridge writes")
    return manifest


def _check_version(document: object) -> None:
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        codec.fail("version", f"{codec.show(version)}: made by a newer Landbridge: upgrade")


def _canonical(manifest: Manifest) -> bytes:
    document = {"format": manifest.format, "version": manifest.version, "files": dict(manifest.files)}
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode("ascii")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
