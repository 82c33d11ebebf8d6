"""Every reader of a bundle as a target.

What they accept is judged by other means than their own: the seed itself, hashes that are computed again, numpy's
reader, onnx's parser.
"""

from pathlib import Path

from benchmarks.fuzzing import archives, contracts, graphs, signatures, traces
from benchmarks.fuzzing.archives import Files
from benchmarks.fuzzing.mutations import change_document
from benchmarks.fuzzing.targets import Target
from contract import archive, golden, manifest, policy_contract, signature
from contract.bundle import ONNX, parse_bundle
from contract.keys import PrivateKey
from contract.robot import Robot
from contract.trust import TrustedKeys


def bundle_targets(files: Files, robot: Robot, scratch: Path) -> tuple[Target, ...]:
    """All of them.

    Args:
        files: of a sound bundle for `robot`, unsigned.
        scratch: folder for a file that is written again and again.
    """
    key, stranger = PrivateKey.new(), PrivateKey.new()
    made = signature.make(files[manifest.FILE], key)
    signed = {**files, signature.FILE: signature.to_json(made)}
    trusted = TrustedKeys(scratch, {made.key_id: scratch})
    bundle = parse_bundle(scratch, files)
    path = scratch / "fuzz.zip"
    return (
        Target(
            "zip archive", archive.write_zip(files), archives.change_zip(None), archives.read_zip(path, files, None)
        ),
        Target(
            "zip archive under trusted keys",
            archive.write_zip(signed),
            archives.change_zip(stranger),
            archives.read_zip(path, signed, trusted),
        ),
        Target("manifest.json", files[manifest.FILE], change_document, signatures.read_manifest(files)),
        Target(
            "signature.json under trusted keys",
            signatures.joined(signed),
            signatures.change_signed(stranger),
            signatures.read_signed(signed, trusted),
        ),
        Target("contract.json", files[policy_contract.FILE], change_document, contracts.read_contract(robot)),
        Target("golden.npz", files[golden.FILE], traces.change_npz, traces.read_golden(bundle.contract)),
        Target("policy.onnx, scanned", files[ONNX], graphs.change_graph, graphs.scan),
        Target("policy.onnx, scanned and run", files[ONNX], graphs.change_graph, graphs.scan_and_run(bundle)),
    )
