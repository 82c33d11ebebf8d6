"""policy.onnx, read beside onnx's own parser."""

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Any

import onnx

from benchmarks.fuzzing import protobuf
from benchmarks.fuzzing.mutations import damage
from benchmarks.fuzzing.protobuf import BYTES, START_GROUP, VARINT, Field
from benchmarks.fuzzing.targets import Violation
from contract.bundle import ONNX, Bundle
from contract.errors import BundleError
from deploy_robot import graph_scan
from deploy_robot.graph_operators import PERMITTED
from deploy_robot.onnx_policy import GOLDEN_TOLERANCE, OnnxPolicy

_SCHEMA = {
    "model": {7: "graph", 8: "opset"},
    "opset": {},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
    "value": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {1: "axis"},
    "axis": {},
}
_ENTRY = protobuf.encode([Field(1, BYTES, content=b"location"), Field(2, BYTES, content=b"../secret.bin")])
_HOSTILE = {
    "model": [
        [Field(20, BYTES)],  # training
        [Field(25, BYTES, content=b"\x0a\x04Tanh")],  # functions
        [Field(3, START_GROUP)],
    ],
    "graph": [[Field(15, BYTES)]],  # sparse weights
    "node": [
        [Field(7, BYTES, content=b"my.library")],  # domain
        [Field(4, BYTES, content=b"Loop")],  # operator
        [Field(4, BYTES, content=b"RandomNormal")],
    ],
    "attribute": [[Field(22, BYTES)], [Field(23, BYTES)]],  # sparse weights
    "tensor": [[Field(13, BYTES, content=_ENTRY), Field(14, VARINT, value=1)]],  # weights in another file
}


def change_graph(random: Random, data: bytes) -> bytes:
    """A graph that is damaged, changed field by field, or has something hidden in it."""
    match random.randrange(5):
        case 0:
            return damage(random, data)
        case 1 | 2:
            smuggled = protobuf.smuggle(random, data, _SCHEMA, "model", _HOSTILE)
            return protobuf.change(random, smuggled, _SCHEMA, "model") if random.random() < 0.2 else smuggled
        case _:
            return protobuf.change(random, data, _SCHEMA, "model")


def scan(data: bytes) -> None:
    """Scans a graph; what passes must be harmless to onnx's eyes too."""
    graph_scan.check(data, ONNX)
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:  # protobuf's own; onnxruntime, which uses the same, will refuse it too
        return
    if model.functions or model.training_info:
        raise Violation("the scan let functions or a training graph pass")
    pending = [model.graph]
    while pending:
        graph = pending.pop()
        _check_tensors(graph.initializer)
        if graph.sparse_initializer:
            raise Violation("the scan let sparse weights pass")
        for node in graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise Violation(f"the scan let domain {node.domain!r} pass")
            if node.op_type and node.op_type.encode() not in PERMITTED:
                raise Violation(f"the scan let operator {node.op_type!r} pass")
            for attribute in node.attribute:
                _check_tensors((attribute.t, *attribute.tensors))
                if attribute.sparse_tensors or attribute.HasField("sparse_tensor"):
                    raise Violation("the scan let a sparse attribute pass")
                pending += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _check_tensors(tensors: Any) -> None:
    for tensor in tensors:
        if tensor.external_data:
            raise Violation("the scan let weights in another file pass")


def scan_and_run(bundle: Bundle) -> Callable[[bytes], object]:
    """Loads a graph in place of the bundle's own and replays the traces."""

    def read(data: bytes) -> None:
        changed = dataclasses.replace(bundle, files={**bundle.files, ONNX: data})
        try:
            largest = OnnxPolicy(changed).replay_golden()
        except BundleError as error:
            # What onnxruntime says when it has looked for the file, and not its advice for weights that are too large.
            if "xternal data" in str(error).replace("Use external data", ""):
                raise Violation(f"the scan let weights in another file pass: {error}") from None
            raise
        if not largest <= GOLDEN_TOLERANCE:
            raise Violation(f"a graph passed its traces with a difference of {largest}")

    return read
