"""`landbridge verify BUNDLE`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from contract.bundle import Bundle
    from contract.trust import TrustedKeys
    from deploy_robot.onnx_policy import OnnxPolicy


@dataclass(frozen=True)
class Verify:
    """Verify that a policy bundle is whole, fits its robot, and does here what it did in training.

    Prints one line a check and exits with 1 at the first that fails. Run it on the robot's own computer: the
    golden traces are replayed on the processor and onnxruntime that are there. With trusted keys, one of them must
    have signed the bundle.

    Examples:
        landbridge verify go2-velocity-flat/
        landbridge verify go2-velocity-flat.zip --trusted-keys keys/signing.pem
    """

    bundle: Annotated[Path, tyro.conf.Positional]
    """Bundle directory or .zip, or the name of a shipped one."""
    trusted_keys: Path | None = None
    """Public keys, one of which must have signed the bundle: a PEM file or a folder of them; by default what
    LANDBRIDGE_TRUSTED_KEYS says."""

    def run(self) -> int:
        """Exit code: 0 if every check holds, else 1; UsageError where there are no such keys."""
        from contract import trust
        from contract.errors import BundleError
        from landbridge.shipped import find

        evidence = _Evidence(find(self.bundle), trust.configured(self.trusted_keys))
        checks: dict[str, Callable[[], str]] = {
            "signature": evidence.check_signature,
            "files": evidence.check_files,
            "schema": evidence.check_schema,
            "robot": evidence.check_robot,
            "graph": evidence.check_graph,
            "golden": evidence.check_golden,
        }
        for name, check in checks.items():
            try:
                detail = check()
            except BundleError as error:
                print(f"FAIL  {name:<9} {error}")
                return 1
            print(f"ok    {name:<9} {detail}")
        return 0


class _Evidence:
    """What the checks so far have established; each builds on those before it."""

    def __init__(self, path: Path, trusted: "TrustedKeys | None") -> None:
        self.path = path
        self.trusted = trusted
        self.files: dict[str, bytes]
        self.bundle: Bundle
        self.policy: OnnxPolicy

    def check_signature(self) -> str:
        from contract import keys, trust
        from contract.bundle import read_files

        self.files = read_files(self.path)
        found = trust.check(self.files, self.trusted)
        if found is None:
            return "none, and no trusted keys are configured here that would demand one"
        if self.trusted is not None:
            return f"of key {found.key_id}, trusted by {self.trusted.files[found.key_id]}"
        if not keys.available():
            return f"of key {found.key_id}, not checked: pip install 'landbridge[sign]'"
        return f"of key {found.key_id}, which no trusted keys here vouch for"

    def check_files(self) -> str:
        from contract import manifest

        listed = manifest.verify(self.files).files
        return f"{len(listed)} files as listed, digest {manifest.digest(self.files)}"

    def check_schema(self) -> str:
        from contract.bundle import parse_bundle

        self.bundle = parse_bundle(self.path, self.files)
        contract = self.bundle.contract
        return f"contract.json is valid, schema {contract.schema_version}, task {contract.task}"

    def check_robot(self) -> str:
        from contract.policy_contract import check_robot
        from deploy_robot.onnx_policy import named_robot

        robot = named_robot(self.bundle.contract)
        check_robot(self.bundle.contract, robot)
        return f"{robot.title}: same {robot.num_joints} joints in the same order, no limit loosened"

    def check_graph(self) -> str:
        from deploy_robot.onnx_policy import OnnxPolicy

        self.policy = OnnxPolicy(self.bundle)
        contract = self.bundle.contract
        return (
            f"standard operators, no outside files; {len(contract.graph_inputs)} inputs and"
            f" {len(contract.graph_outputs)} outputs as in the contract"
        )

    def check_golden(self) -> str:
        from deploy_robot.onnx_policy import GOLDEN_TOLERANCE

        largest = self.policy.replay_golden()
        golden = self.bundle.golden
        return (
            f"{golden.batch} traces of {golden.steps} steps reproduced on this processor, largest difference"
            f" {largest:.1e} (tolerance {GOLDEN_TOLERANCE:g})"
        )
