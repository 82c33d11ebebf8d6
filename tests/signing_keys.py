"""Two keys that are the same in every run: of an author whom robots trust, and of a stranger."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.keys import PrivateKey, fingerprint

AUTHOR = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STRANGER = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))
AUTHOR_ID, STRANGER_ID = fingerprint(AUTHOR.public), fingerprint(STRANGER.public)


def trust_author(folder: Path) -> Path:
    """Make a folder of trusted keys that holds the author's."""
    folder.mkdir()
    (folder / "author.pem").write_bytes(AUTHOR.public_pem())
    return folder
