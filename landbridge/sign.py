"""`landbridge sign BUNDLE --key FILE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Sign:
    """Sign a policy bundle with a private key of `landbridge keygen`.

    Verifies the bundle as `landbridge verify` does, then writes signature.json into it, in place of one that may be
    there. The signature covers every file, so whatever changes the bundle later needs a new one.

    Examples:
        landbridge sign runs/my-policy/bundle --key keys/signing.key
        landbridge sign my-policy.zip --key keys/signing.key
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip."""
    key: Path
    """Private key, a PEM file."""

    def run(self) -> int:
        """Exit code 0.

        Raises:
            BundleError: the bundle would be refused everywhere, or cannot be written.
            UsageError: there is no such key, or the passphrase is wrong.
        """
        from contract import manifest, signature
        from contract.bundle import parse_bundle, read_files, sign_bundle
        from contract.keys import read_private
        from deploy_robot.onnx_policy import named_robot, prove
        from landbridge import passphrase

        key = read_private(self.key.expanduser(), passphrase.ask)
        files = read_files(self.bundle)
        replaced = files.pop(signature.FILE, None) is not None
        manifest.verify(files)
        bundle = parse_bundle(self.bundle, files)
        prove(bundle, named_robot(bundle.contract))
        made = sign_bundle(bundle, key)
        print(f"{'signed again' if replaced else 'signed'}  {self.bundle}")
        print(f"key id  {made.key_id}")
        print(f"digest  {made.manifest_sha256}")
        return 0
