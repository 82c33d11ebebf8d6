"""What an ONNX file could reach beside the arithmetic that it is for, found without loading it.

A graph may name other files (external weights) and operators of other domains (custom libraries, local
functions that shadow standard ones). A robot computer has no `onnx` package, so this walks the protobuf wire
format: only the few fields that matter are entered, everything else is skipped by its length. Field numbers
are those of onnx.proto in onnx 1.23 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from collections.abc import Iterator

from contract.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZE = {_FIXED64: 8, _FIXED32: 4}

# Message types to enter: {message: {field number: message}}.
_CHILDREN = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_NODE_DOMAIN = 7
_STANDARD_DOMAINS = (b"", b"ai.onnx")
_REFUSED = {
    ("model", 20): "carries a training graph: export it for inference",
    ("model", 25): "carries local functions: export it with functions inlined",
    ("tensor", 13): "keeps weights in other files: export it with external_data=False",
}


def check(onnx: bytes, file: str) -> None:
    """BundleError unless the graph keeps all weights inside and uses operators of the ONNX standard only."""
    pending = [("model", memoryview(onnx))]
    while pending:
        message, data = pending.pop()
        for field, value in _fields(data, file):
            if reason := _REFUSED.get((message, field)):
                raise BundleError(f"{file}: {reason}")
            if message == "node" and field == _NODE_DOMAIN and bytes(value) not in _STANDARD_DOMAINS:
                domain = ascii(bytes(value).decode("utf-8", "replace"))
                raise BundleError(f"{file}: uses an operator of domain {domain}: only standard ONNX operators may run")
            if child := _CHILDREN[message].get(field):
                pending.append((child, value))


def _fields(data: memoryview, file: str) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field of one message; other wire types are skipped."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position, file)
        wire = key & 7
        if wire == _VARINT:
            _, position = _varint(data, position, file)
            continue
        size = _FIXED_SIZE.get(wire)
        if wire == _BYTES:
            size, position = _varint(data, position, file)
        if size is None or position + size > len(data):
            raise _damaged(file)
        if wire == _BYTES:
            yield key >> 3, data[position : position + size]
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


def _damaged(file: str) -> BundleError:
    return BundleError(f"{file}: not an ONNX graph, or a damaged one")
