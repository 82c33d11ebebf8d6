"""Whose bundles may run here: the one place that decides it.

Trust is a set of public keys, given by an option, a ROS parameter, or the environment variable below: a PEM file, or a
folder of them. Once it is given, a bundle must carry a signature of one of these keys over its manifest. Where it is
not, any bundle is as good as another, but a signature that is there must hold.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract import keys, manifest, signature
from contract.errors import BundleError, UsageError
from contract.signature import Signature

ENVIRONMENT = "LANDBRIDGE_TRUSTED_KEYS"
_SUFFIX = ".pem"


@dataclass(frozen=True)
class TrustedKeys:
    """Keys by fingerprint, and the file that each is from.

    Attributes:
        source: the file or folder that was configured, absolute.
    """

    source: Path
    files: Mapping[str, Path]


def configured(given: Path | str | None = None) -> TrustedKeys | None:
    """The keys that are trusted on this machine; None where nobody has configured any.

    Args:
        given: a PEM file or a folder of them; None or empty for what the environment says.

    Raises:
        UsageError: what is configured is not there, holds no key, or something else.
        LandbridgeError: `cryptography` is not installed.
    """
    if not given:
        given = os.environ.get(ENVIRONMENT)
        if given is None:
            return None
        if not given:  # more likely a mistake in a script than a wish to run anything
            raise UsageError(f"{ENVIRONMENT} is set and empty: name a folder of public keys, or unset it")
    return load(Path(given))


def load(path: Path) -> TrustedKeys:
    """The keys in a PEM file, or in all `*.pem` of a folder; errors as in `configured`."""
    try:
        found = sorted(path.glob(f"*{_SUFFIX}")) if path.is_dir() else [path]
    except OSError as error:
        raise UsageError(f"trusted keys {path}: cannot be read: {error.strerror}") from None
    if not found:
        raise UsageError(f"trusted keys {path}: this folder holds no public key (*{_SUFFIX}): nothing could run here")
    files = {keys.fingerprint(public): file for file in found for public in keys.read_public(file)}
    return TrustedKeys(path.resolve(), files)


def check(files: Mapping[str, bytes], trusted: TrustedKeys | None) -> Signature | None:
    """Judge a bundle's files before anything in them is believed; the signature, where there is one.

    This says nothing yet about files beside the manifest: `contract.manifest.verify` does.

    Raises:
        BundleError: the signature does not hold; or there are trusted keys, and none of them made it.
        LandbridgeError: there are, and `cryptography` is not installed.
    """
    if trusted is not None:
        keys.require()
    found = signature.check(files)
    if trusted is None:
        return found
    if found is None:
        manifest.content(files)  # where even that is missing, it is no bundle that could be signed
        raise BundleError(
            f"{signature.FILE}: missing: this bundle is not signed, and only what a key in {trusted.source} has signed"
            " may run here: `landbridge sign` it with such a key"
        )
    if found.key_id not in trusted.files:
        raise BundleError(
            f"{signature.FILE}: signed by key {found.key_id[:16]}, which is not among those in {trusted.source}: have"
            " the bundle signed by one of these, or, if you trust its author, put that public key there"
        )
    return found
