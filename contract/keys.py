"""Ed25519 keys: files that hold them, signatures that they make and judge.

The only place that imports `cryptography`, and only when a key is used: a robot that trusts no keys needs none of it.
A key is named by its fingerprint, the SHA-256 of the 32 bytes of the public key, in hexadecimal.
"""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import LandbridgeError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_SIZE = 32  # bytes
SIGNATURE_SIZE = 64

_MAX_FILE = 64 * 1024  # bytes; a key has a few hundred
_PUBLIC_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]*-----END PUBLIC KEY-----")


def available() -> bool:
    """Whether signatures can be made and judged here."""
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError:
        return False
    return True


def require() -> None:
    """LandbridgeError that says how to get it, where `cryptography` cannot be imported."""
    if not available():
        raise LandbridgeError(
            "signatures need the package cryptography, which cannot be imported here: pip install 'landbridge[sign]'"
        )


def fingerprint(public: bytes) -> str:
    """Names a public key: 64 hexadecimal digits."""
    return hashlib.sha256(public).hexdigest()


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of `public` (32 bytes) has signed `message`. LandbridgeError without `cryptography`."""
    require()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: no point of the curve
        return False
    return True


class PrivateKey:
    """What signs."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key

    @classmethod
    def new(cls) -> "PrivateKey":
        """One that nobody else has. LandbridgeError without `cryptography`."""
        require()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Its signature, 64 bytes."""
        return self._key.sign(message)

    def private_pem(self, passphrase: str = "") -> bytes:
        """PKCS #8 as PEM, encrypted where there is a passphrase."""
        from cryptography.hazmat.primitives import serialization as form

        locked = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
        return self._key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked)

    def public_pem(self) -> bytes:
        """SubjectPublicKeyInfo as PEM."""
        from cryptography.hazmat.primitives import serialization as form

        return self._key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def read_private(path: Path, passphrase: Callable[[], str]) -> PrivateKey:
    """The private key in a PEM file.

    Args:
        passphrase: asked for where the file is encrypted.

    Raises:
        UsageError: there is no such file, it holds something else, or the passphrase is wrong.
    """
    require()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path)
    if b"PRIVATE KEY-----" not in data:
        hint = ": this is a public key, and the private one signs" if b"PUBLIC KEY-----" in data else ""
        raise UsageError(f"{path}: not a private key as PEM{hint}")
    secret = passphrase().encode() if b"ENCRYPTED" in data else None
    try:
        key = load_pem_private_key(data, secret)
    except Exception:  # which it is depends on the layer that the damage or the passphrase meets
        raise UsageError(
            f"{path}: wrong passphrase, or a damaged file" if secret is not None else f"{path}: damaged private key"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: not an Ed25519 key: make one with `landbridge keygen`")
    return PrivateKey(key)


def read_public(path: Path) -> list[bytes]:
    """The public keys in a PEM file, 32 bytes each; UsageError where it holds none, or something else."""
    require()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path)
    if b"PRIVATE KEY-----" in data:
        raise UsageError(
            f"{path}: holds a private key: trust its public one, and keep the private one off this machine"
        )
    keys = []
    for block in _PUBLIC_BLOCK.findall(data):
        try:
            key = load_pem_public_key(block)
        except Exception:  # as above
            raise UsageError(f"{path}: damaged public key") from None
        if not isinstance(key, Ed25519PublicKey):
            raise UsageError(f"{path}: not an Ed25519 key: make one with `landbridge keygen`")
        keys.append(key.public_bytes_raw())
    if not keys:
        raise UsageError(f"{path}: holds no public key as PEM (BEGIN PUBLIC KEY)")
    return keys


def write_pair(folder: Path, key: PrivateKey, passphrase: str = "") -> tuple[Path, Path]:
    """Write `signing.key` (private, for its owner alone) and `signing.pem` (public) into `folder`; their paths.

    Raises:
        UsageError: one of them is there already.
        OSError: the folder cannot be made or written; neither file is then left.
    """
    private, public = folder / "signing.key", folder / "signing.pem"
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path}: is there already, and a key is never overwritten: choose another --out")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for path, data, mode in ((private, key.private_pem(passphrase), 0o600), (public, key.public_pem(), 0o644)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            written.append(path)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return private, public


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    if len(data) > _MAX_FILE:
        raise UsageError(f"{path}: too large for a key")
    return data
