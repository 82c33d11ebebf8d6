"""`signature.json`: an Ed25519 signature over the bytes of `manifest.json`, and hence over every file of a bundle.

It carries the public key of the signer, so that anybody can tell whether it holds. Whether that signer may decide what
runs here is another question: contract/trust.py.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from contract import codec, keys, manifest
from contract.errors import BundleError
from contract.keys import PrivateKey

FILE = manifest.SIGNATURE
ALGORITHM = "ed25519"


@dataclass(frozen=True)
class Signature:
    """Content of `signature.json`; bytes are lower-case hexadecimal.

    Attributes:
        algorithm: always `ed25519`.
        key_id: fingerprint of the public key.
        public_key: 32 bytes.
        manifest_sha256: of the manifest that is signed, the digest of its bundle.
        signature: 64 bytes.
    """

    algorithm: str
    key_id: str
    public_key: str
    manifest_sha256: str
    signature: str


_SIZES = {
    "key_id": hashlib.sha256().digest_size,
    "public_key": keys.PUBLIC_SIZE,
    "manifest_sha256": hashlib.sha256().digest_size,
    "signature": keys.SIGNATURE_SIZE,
}


def make(signed: bytes, key: PrivateKey) -> Signature:
    """The signature of `key` over the bytes of a manifest."""
    digest = hashlib.sha256(signed).hexdigest()
    return Signature(ALGORITHM, keys.fingerprint(key.public), key.public.hex(), digest, key.sign(signed).hex())


def to_json(signature: Signature) -> bytes:
    """`signature.json`."""
    return codec.dumps(signature, FILE)


def check(files: Mapping[str, bytes]) -> Signature | None:
    """The signature of a bundle's files; None where there is none.

    Where `cryptography` is not installed this is as far as one gets without it: well formed, and made for this
    manifest.

    Raises:
        BundleError: it is damaged, of another bundle, or does not hold.
    """
    if FILE not in files:
        return None
    signed = manifest.content(files)
    signature = codec.loads(Signature, files[FILE], FILE)
    if signature.algorithm != ALGORITHM:
        raise BundleError(f"{FILE}: algorithm: must be {ALGORITHM!r}, got {codec.show(signature.algorithm)}")
    for name, size in _SIZES.items():
        if not re.fullmatch(rf"[0-9a-f]{{{2 * size}}}", getattr(signature, name)):
            raise BundleError(f"{FILE}: {name}: must be {size} bytes in lower-case hexadecimal")
    public = bytes.fromhex(signature.public_key)
    if keys.fingerprint(public) != signature.key_id:
        raise BundleError(f"{FILE}: key_id: is not the fingerprint of public_key: have the bundle signed again")
    if hashlib.sha256(signed).hexdigest() != signature.manifest_sha256:
        raise BundleError(
            f"{FILE}: signs another state of this bundle: {manifest.FILE} was changed afterwards; get the original, or"
            " have this one signed"
        )
    if keys.available() and not keys.verifies(public, bytes.fromhex(signature.signature), signed):
        raise BundleError(
            f"{FILE}: the signature does not hold for {manifest.FILE}: one of the two was altered; get the original, or"
            " have this one signed"
        )
    return signature
