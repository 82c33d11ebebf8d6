"""What an ONNX file could reach beside the arithmetic that it is for, found without loading it.

A graph may name other files (external weights), operators of other domains (custom libraries, local functions that
shadow standard ones), loops that never end, and tensors of a few bytes that unfold to gigabytes. A robot computer has
no `onnx` package, so this walks the protobuf wire format: only the few fields that matter are entered, everything else
is skipped by its length. Field numbers are those of onnx.proto in onnx 1.23
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

What is judged here must be what onnxruntime reads. So whatever two readers of protobuf may take differently, such as a
tag that does not fit 32 bits, counts as damage; nobody writes it.
"""

from collections.abc import Iterator

from contract.errors import BundleError
from deploy_robot.graph_operators import PERMITTED

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {_FIXED64: 8, _FIXED32: 4}
_MAX_TAG = 2**32 - 1
_MAX_NODES = 20_000  # a policy has hundreds
_MAX_FIELDS = 500_000  # a policy has thousands; seconds of the scan's own time

# Message types to enter: {message: {field number: message}}.
_CHILDREN = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
_NODE_OPERATOR, _NODE_DOMAIN = 4, 7
_STANDARD_DOMAINS = (b"", b"ai.onnx")
_SPARSE = "keeps sparse weights, which may unfold to any size: export them dense"
_REFUSED = {
    ("model", 20): "carries a training graph: export it for inference",
    ("model", 25): "carries local functions: export it with functions inlined",
    ("graph", 15): _SPARSE,
    ("attribute", 22): _SPARSE,
    ("attribute", 23): _SPARSE,
    ("tensor", 13): "keeps weights in other files: export it with external_data=False",
}


def check(onnx: bytes, file: str) -> None:
    """BundleError unless the graph keeps all weights inside and uses permitted operators of the ONNX standard only."""
    pending = [("model", memoryview(onnx))]
    nodes = 0
    fields = iter(range(_MAX_FIELDS))
    while pending:
        message, data = pending.pop()
        for field, value in _fields(data, file, fields):
            if reason := _REFUSED.get((message, field)):
                raise BundleError(f"{file}: {reason}")
            if message == "node":
                _check_node(field, bytes(value), file)
            if child := _CHILDREN[message].get(field):
                nodes += child == "node"
                pending.append((child, value))
        if nodes > _MAX_NODES:
            raise BundleError(f"{file}: has more than {_MAX_NODES} nodes, as no policy has")


def _check_node(field: int, value: bytes, file: str) -> None:
    if field == _NODE_DOMAIN and value not in _STANDARD_DOMAINS:
        raise BundleError(f"{file}: uses an operator of domain {_shown(value)}: only standard ONNX operators may run")
    if field == _NODE_OPERATOR and value not in PERMITTED:
        raise BundleError(
            f"{file}: uses the operator {_shown(value)}, which a policy may not: docs/trust.md says what it may"
        )


def _fields(data: memoryview, file: str, budget: Iterator[int]) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field of one message; other wire types are skipped."""
    position = 0
    while position < len(data):
        if next(budget, None) is None:
            raise BundleError(f"{file}: has more than {_MAX_FIELDS} parts, as no policy has")
        key, position = _varint(data, position, file)
        wire, field = key & 7, key >> 3
        if field == 0 or key > _MAX_TAG:
            raise _damaged(file)
        if wire == _VARINT:
            _, position = _varint(data, position, file)
            continue
        size = _FIXED_SIZE.get(wire)
        if wire == _BYTES:
            size, position = _varint(data, position, file)
        if size is None or position + size > len(data):
            raise _damaged(file)
        if wire == _BYTES:
            yield field, data[position : position + size]
        position += size


def _varint(data: memoryview, position: int, file: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _damaged(file)


def _shown(text: bytes) -> str:
    return ascii(text[:64].decode("utf-8", "replace"))


def _damaged(file: str) -> BundleError:
    return BundleError(f"{file}: not an ONNX graph, or a damaged one")
