"""The policy bundle: a directory, or its one-file zip, with everything that a robot must know about a policy.

policy.onnx     the Controller: raw sensor signals and memory in, joint targets and next memory out
contract.json   what it promises and expects                            (contract/policy_contract.py)
golden.npz      recorded traces that every processor must reproduce     (contract/golden.py)
card.md         for humans; plots/NAME.png beside it
manifest.json   SHA-256 of every other file                             (contract/manifest.py)
signature.json  optional: an Ed25519 signature over manifest.json       (contract/signature.py)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract import archive, manifest, policy_contract, signature, storage, trust
from contract import golden as golden_npz
from contract.errors import BundleError
from contract.golden import Golden
from contract.keys import PrivateKey
from contract.policy_contract import Contract
from contract.signature import Signature
from contract.trust import TrustedKeys

__all__ = [
    "Bundle",
    "Contract",
    "Golden",
    "parse_bundle",
    "read_bundle",
    "read_files",
    "sign_bundle",
    "verify_files",
    "write_bundle",
    "zip_bundle",
]

ONNX = "policy.onnx"
CARD = "card.md"

_MIB = 1024 * 1024
_MAX_TOTAL = 512 * _MIB
_MAX_SIZE = {
    ONNX: 128 * _MIB,
    policy_contract.FILE: 2 * _MIB,
    golden_npz.FILE: 72 * _MIB,
    CARD: 4 * _MIB,
    manifest.FILE: _MIB,
    signature.FILE: 4096,
}
_MAX_PLOT = 16 * _MIB
_PLOT = re.compile(r"plots/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\.png")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle whose hashes, schema and traces have been checked.

    Attributes:
        path: the directory or zip that it was read from.
        files: content of every file by name.
        digest: SHA-256 of the manifest; names this bundle and every byte in it.
    """

    path: Path
    contract: Contract
    golden: Golden
    files: Mapping[str, bytes]
    digest: str

    @property
    def onnx(self) -> bytes:
        """The graph."""
        return self.files[ONNX]

    @property
    def card(self) -> str:
        """Markdown for humans."""
        return self.files[CARD].decode("utf-8")

    @property
    def plots(self) -> dict[str, bytes]:
        """PNG images by name, without the folder."""
        return {name.removeprefix("plots/"): data for name, data in self.files.items() if _PLOT.fullmatch(name)}


def write_bundle(
    path: Path, contract: Contract, onnx: bytes, golden: Golden, card: str, plots: Mapping[str, bytes]
) -> Path:
    """Write a bundle directory, in one step: whatever fails, what was at `path` before stays complete.

    Args:
        path: the directory; a bundle that is there is replaced, anything else is refused.
        onnx: the serialised graph.
        card: Markdown.
        plots: PNG images by name, e.g. `tracking.png`.

    Raises:
        BundleError: for a field that could not be read back, or a write that failed (a full disk).
    """
    golden_npz.check(golden, contract)
    files = {
        ONNX: onnx,
        policy_contract.FILE: policy_contract.to_json(contract),
        golden_npz.FILE: golden_npz.to_npz(golden),
        CARD: card.encode("utf-8"),
        **{f"plots/{name}": data for name, data in plots.items()},
    }
    archive.check_names(files, str(path))
    for name, data in files.items():
        limit = _allowed(name)
        if limit is None:
            raise BundleError(f"{name}: plots are named NAME.png, with letters, digits, dots, dashes and underscores")
        if len(data) > limit:
            raise BundleError(f"{name}: {len(data)} bytes, and a bundle holds at most {limit}")
    files[manifest.FILE] = manifest.make(files)
    check_replaceable(path)
    try:
        storage.replace_directory(path, files)
    except OSError as error:
        raise _not_written(path, error) from None
    return path


def zip_bundle(path: Path) -> Path:
    """Verify the bundle directory `path` and write `PATH.zip` beside it; equal bundles give equal bytes."""
    files = read_files(path)
    verify_files(files)
    target = path.parent / f"{path.resolve().name}.zip"
    try:
        storage.replace_file(target, archive.write_zip(files))
    except OSError as error:
        raise _not_written(target, error) from None
    return target


def sign_bundle(bundle: Bundle, key: PrivateKey) -> Signature:
    """Write `signature.json` into the directory or zip that `bundle` was read from, in place of one that may be there.

    What is signed are the bytes that were read. BundleError where it cannot be written.
    """
    made = signature.make(bundle.files[manifest.FILE], key)
    data = signature.to_json(made)
    try:
        if bundle.path.is_dir():
            storage.replace_file(bundle.path / signature.FILE, data)
        else:
            storage.replace_file(bundle.path.resolve(), archive.write_zip({**bundle.files, signature.FILE: data}))
    except OSError as error:
        raise _not_written(bundle.path, error) from None
    return made


def read_bundle(path: Path, trusted: TrustedKeys | None = None) -> Bundle:
    """Read a bundle directory or zip and check signature, hashes, schema and sizes.

    The graph itself is not run: that is `deploy_robot.onnx_policy.load_policy`.

    Args:
        path: directory or zip.
        trusted: whose signature the bundle must carry; None for anybody's or none.

    Raises:
        BundleError: naming the file or field that is wrong.
    """
    files = read_files(path)
    verify_files(files, trusted)
    return parse_bundle(path, files)


def verify_files(files: Mapping[str, bytes], trusted: TrustedKeys | None = None) -> Signature | None:
    """Check a bundle's files against its manifest, and that against its signature, which is returned.

    The signature comes first: of a bundle that nobody trusted has signed, nothing else is looked at.
    BundleError names the file that is wrong.
    """
    found = trust.check(files, trusted)
    manifest.verify(files)
    return found


def read_files(path: Path) -> dict[str, bytes]:
    """Content of every file of a bundle directory or zip, sizes bounded; hashes are not yet checked.

    BundleError at the first file that no bundle has.
    """
    try:
        if path.is_dir():
            return archive.read_directory(path, _allowed, _MAX_TOTAL)
        if path.is_file():
            return archive.read_zip(path, str(path), _allowed, _MAX_TOTAL)
        missing = not path.exists()
    except OSError as error:  # a folder on the way that may not be entered, a name that is too long
        raise BundleError(f"{path}: {error.strerror}") from None
    raise BundleError(f"{path}: " + ("no such bundle" if missing else "neither a directory nor a zip archive"))


def parse_bundle(path: Path, files: Mapping[str, bytes]) -> Bundle:
    """Files of verified hashes to a Bundle; BundleError names the field that is wrong."""
    for name in (ONNX, policy_contract.FILE, golden_npz.FILE, CARD):
        if name not in files:
            raise BundleError(f"{name}: missing")
    contract = policy_contract.from_json(files[policy_contract.FILE])
    golden = golden_npz.from_npz(files[golden_npz.FILE])
    golden_npz.check(golden, contract)
    try:
        files[CARD].decode("utf-8")
    except UnicodeDecodeError:
        raise BundleError(f"{CARD}: not UTF-8 text") from None
    return Bundle(path, contract, golden, dict(files), manifest.digest(files))


def _allowed(name: str) -> int | None:
    return _MAX_PLOT if _PLOT.fullmatch(name) else _MAX_SIZE.get(name)


def check_replaceable(path: Path) -> None:
    """Never delete what is not ours: an existing directory must be a bundle, or empty."""
    if not path.exists() or (path.is_dir() and ((path / manifest.FILE).is_file() or not any(path.iterdir()))):
        return
    raise BundleError(f"{path}: is there already and is not a bundle: choose another path")


def _not_written(path: Path, error: OSError) -> BundleError:
    reason = error.strerror or type(error).__name__
    return BundleError(f"{path}: could not be written ({reason}); what was there before is unchanged")
