"""Recorded traces of a policy: what the graph must reproduce on the processor that will run it."""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract import archive
from contract.errors import BundleError
from contract.policy_contract import Contract

FILE = "golden.npz"

Float32 = NDArray[np.float32]

MAX_STEPS = 10_000  # far more than proves agreement; the graph runs once a step before it may move a robot
MAX_TRACES = 1_000

_MAX_SIZE = 64 * 1024 * 1024  # bytes, all arrays together
_MAGIC = b"\x93NUMPY\x01\x00"  # numpy.lib.format, version 1.0
_AXIS = r"[1-9]\d{0,8}"  # an empty array has nothing to compare, and its other axes could be any number
_HEADER = re.compile(
    rf"\{{'descr': '<f4', 'fortran_order': False, 'shape': \(({_AXIS}(?:, ?{_AXIS}){{0,8}},?)\), \}} *\n".encode()
)
_GROUPS = ("inputs", "outputs")
_FILE = re.compile(r"(inputs|outputs)/([A-Za-z][A-Za-z0-9_]{0,79})\.npy")


@dataclass(frozen=True, eq=False)
class Golden:
    """`batch` closed loops of `steps` control periods each, from zero memory.

    Attributes:
        inputs: every input signal of the contract, `(T, B, *shape)` float32.
        outputs: every output and every `next_NAME` of the memory, `(T, B, *shape)` float32. The memory that
            step t starts from is what step t - 1 left.
    """

    inputs: Mapping[str, Float32]
    outputs: Mapping[str, Float32]

    @property
    def steps(self) -> int:
        return int(next(iter(self.inputs.values())).shape[0])

    @property
    def batch(self) -> int:
        return int(next(iter(self.inputs.values())).shape[1])


def to_npz(golden: Golden) -> bytes:
    """`golden.npz`, as `numpy.load` opens it; equal traces give equal bytes (`numpy.savez` adds the time)."""
    files = {}
    for group in _GROUPS:
        for name, array in getattr(golden, group).items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array, "<f4"), allow_pickle=False)
            files[f"{group}/{name}.npy"] = buffer.getvalue()
    return archive.write_zip(files)


def from_npz(data: bytes) -> Golden:
    """Parse `golden.npz`. BundleError names the array that is damaged; nothing is unpickled."""
    files = archive.read_zip(data, FILE, _allowed, _MAX_SIZE)
    groups: dict[str, dict[str, Float32]] = {group: {} for group in _GROUPS}
    for file, content in files.items():
        group, name = file.removesuffix(".npy").split("/")
        groups[group][name] = _read_array(content, f"{FILE}: {group}/{name}")
    return Golden(**groups)


def check(golden: Golden, contract: Contract) -> None:
    """BundleError unless the traces are of this contract's signals, finite, and exercise its memory."""
    expected = {
        "inputs": {signal.name: signal.shape for signal in contract.inputs},
        "outputs": contract.graph_outputs,
    }
    leading: tuple[int, ...] | None = None
    for group, shapes in expected.items():
        arrays: Mapping[str, Float32] = getattr(golden, group)
        for name in arrays:
            if name not in shapes:
                raise BundleError(f"{FILE}: {group}/{name}: the contract has no such signal")
        for name, shape in shapes.items():
            if name not in arrays:
                raise BundleError(f"{FILE}: {group}/{name}: missing")
            array = arrays[name]
            leading = leading or array.shape[:2]
            if len(leading) != 2 or array.shape != (*leading, *shape):
                want = ["T", "B", *shape] if len(leading) != 2 else [*leading, *shape]
                raise BundleError(f"{FILE}: {group}/{name}: must have shape {want}, got {list(array.shape)}")
            if not np.isfinite(array).all():
                raise BundleError(f"{FILE}: {group}/{name}: must be finite")
    if leading is None or leading[0] < 2 or leading[1] < 1:
        raise BundleError(f"{FILE}: must hold at least 2 steps of 1 trace: memory shows from the second step on")
    if leading[0] > MAX_STEPS or leading[1] > MAX_TRACES:
        raise BundleError(
            f"{FILE}: must hold at most {MAX_STEPS} steps of {MAX_TRACES} traces, got {leading[0]} of {leading[1]}"
        )


def _allowed(name: str) -> int | None:
    return _MAX_SIZE if _FILE.fullmatch(name) else None


def _read_array(content: bytes, where: str) -> Float32:
    # Not numpy's own reader: it evaluates the header as Python and allocates what the header claims.
    size = int.from_bytes(content[len(_MAGIC) : len(_MAGIC) + 2], "little")
    start = len(_MAGIC) + 2 + size
    header = _HEADER.fullmatch(content[len(_MAGIC) + 2 : start])
    if not content.startswith(_MAGIC) or header is None:
        raise BundleError(f"{where}: must be a float32 array in C order, or is damaged")
    shape = tuple(int(axis) for axis in header[1].replace(b",", b" ").split())
    data = content[start:]
    if len(data) != 4 * math.prod(shape):
        raise BundleError(f"{where}: damaged array: {len(data)} bytes do not make shape {list(shape)}")
    return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32)
