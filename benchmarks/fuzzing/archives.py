"""A bundle's archive: members, names, hashes, and what an author can do to cover up a change."""

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from benchmarks.fuzzing.contracts import check_sound
from benchmarks.fuzzing.mutations import damage
from benchmarks.fuzzing.targets import Violation
from contract import manifest, signature
from contract.bundle import read_bundle
from contract.keys import PrivateKey
from contract.trust import TrustedKeys

Files = Mapping[str, bytes]


def change_zip(stranger: PrivateKey | None) -> Callable[[Random, bytes], bytes]:
    """Changes an archive, often with hashes that fit, sometimes with a signature of the stranger."""

    def change(random: Random, data: bytes) -> bytes:
        files = unzipped(data)
        if random.random() < 0.8:
            for _ in range(random.choice((1, 1, 2))):
                _change_files(random, files)
        if random.random() < 0.5:
            _cover_up(random, files, stranger)
        packed = _packed(random, files)
        return damage(random, packed) if random.random() < 0.4 else packed

    return change


def unzipped(data: bytes) -> dict[str, bytes]:
    """Files of a sound archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def _change_files(random: Random, files: dict[str, bytes]) -> None:
    name = random.choice(sorted(files))
    match random.randrange(6):
        case 0:
            del files[name]
        case 1:
            files[random.choice(_NAMES)] = random.choice((b"", b"evil", files[name]))
        case 2:
            files[name.swapcase() if random.random() < 0.5 else f"{name}\0.txt"] = files[name]
        case 3:
            files[name] = files[random.choice(sorted(files))]
        case _:
            files[name] = damage(random, files[name])
    if not files:
        files[name] = b""


def _cover_up(random: Random, files: dict[str, bytes], stranger: PrivateKey | None) -> None:
    """What an author of a changed bundle can do: hashes that fit, a signature of their own or none."""
    covered = {name: data for name, data in files.items() if name not in (manifest.FILE, signature.FILE)}
    files[manifest.FILE] = manifest.make(covered)
    if stranger is not None and random.random() < 0.5:
        files[signature.FILE] = signature.to_json(signature.make(files[manifest.FILE], stranger))
    elif random.random() < 0.3:
        files.pop(signature.FILE, None)


_NAMES = (
    "../evil", "/etc/evil", "plots/../../evil.png", "plots\\..\\evil.png", "plots/", "evil/", "../", "plots/a.png/b",
    "policy.onnx.data", "plots/\u0130.png", "plots/new.png", "PLOTS/new.png", "\x1b[2J", "x" * 5_000, "signature.json",
)  # fmt: skip


def _packed(random: Random, files: Files) -> bytes:
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as target:
        warnings.simplefilter("ignore")  # of names that appear twice
        for name, data in files.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = method
            member.external_attr = random.choice((0, 0, 0o100644 << 16, 0o100644 << 16, 0o120777 << 16, 0o010644 << 16))
            if random.random() < 0.9:
                member.external_attr = 0o100644 << 16
            target.writestr(member, data)
            if random.random() < 0.02:
                target.writestr(member, data)
        target.comment = random.choice((b"", b"", b"PK\x05\x06" + bytes(18)))
    return buffer.getvalue()


def read_zip(path: Path, sound: Files, trusted: TrustedKeys | None) -> Callable[[bytes], object]:
    """Reads an archive by way of the file `path`. Under trusted keys only `sound` may pass, else any sound bundle."""

    def read(data: bytes) -> None:
        path.write_bytes(data)
        bundle = read_bundle(path, trusted)
        if trusted is not None and dict(bundle.files) != dict(sound):
            raise Violation("accepted files that no trusted key has signed")
        listed = json.loads(bundle.files[manifest.FILE])["files"]
        own = {name: data for name, data in bundle.files.items() if name not in (manifest.FILE, signature.FILE)}
        if {name: hashlib.sha256(data).hexdigest() for name, data in own.items()} != listed:
            raise Violation("accepted files that the manifest does not list")
        check_sound(bundle.contract)

    return read
