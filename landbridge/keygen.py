"""`landbridge keygen`."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Keygen:
    """Make a pair of Ed25519 keys: the private one signs bundles, the public one tells robots whom to trust.

    Writes signing.key (private, readable by you alone) and signing.pem (public). Keep the private key off the robot and
    out of version control. Never overwrites a key.

    Examples:
        landbridge keygen
        landbridge keygen --out ~/.config/landbridge --passphrase
    """

    out: Path = Path("keys")
    """Folder for both files."""
    passphrase: bool = False
    """Encrypt the private key: asks for a passphrase, or takes LANDBRIDGE_KEY_PASSPHRASE."""

    def run(self) -> int:
        """Exit code 0; UsageError where a key is there already."""
        from contract.keys import PrivateKey, fingerprint, write_pair
        from landbridge import passphrase

        key = PrivateKey.new()
        secret = passphrase.ask(twice=True) if self.passphrase else ""
        private, public = write_pair(self.out.expanduser(), key, secret)
        print(f"private key  {private}  {'encrypted' if secret else 'not encrypted'}; keep it secret")
        print(f"public key   {public}  for --trusted-keys on the robot")
        print(f"key id       {fingerprint(key.public)}")
        return 0
