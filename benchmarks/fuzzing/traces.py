"""golden.npz, read beside numpy's own reader."""

import io
from collections.abc import Callable
from random import Random

import numpy as np

from benchmarks.fuzzing.archives import unzipped
from benchmarks.fuzzing.mutations import damage
from benchmarks.fuzzing.targets import Violation
from contract import archive, golden
from contract.policy_contract import Contract


def change_npz(random: Random, data: bytes) -> bytes:
    """Traces with other members, headers, figures, or damage."""
    if random.random() < 0.3:
        return damage(random, data)
    files = unzipped(data)
    name = random.choice(sorted(files))
    match random.randrange(5):
        case 0:
            del files[name]
        case 1:
            files[random.choice(("inputs/new.npy", "x.npy", "inputs/../x.npy", "inputs/n\u0430me.npy"))] = files[name]
        case 2:
            data = files[name][128:]
            header = random.choice(_HEADERS) % {"shape": random.choice(_SHAPES)}
            text = header.encode().ljust(random.choice((118, 4086))) + b"\n"
            files[name] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
            files[name] += random.choice((b"", data))
        case 3:
            values = np.frombuffer(files[name][128:], "<f4").copy()
            values[random.randrange(values.size)] = random.choice((np.nan, np.inf, 1e38, -0.0))
            files[name] = files[name][:128] + values.tobytes()
        case _:
            files[name] = damage(random, files[name])
    return archive.write_zip(files) if files else b""


_HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': %(shape)s, }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': %(shape)s, }",
    "{'descr': '|O', 'fortran_order': False, 'shape': %(shape)s, }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': %(shape)s, }",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': %(shape)s, }",
)
_SHAPES = (
    f"(0{', 999999999' * 8})",
    "()",
    "(0,)",
    "(1,)",
    "(2, 1, 3)",
    "(0, 999999999, 999999999)",
    "(-1, 3)",
    "(999999999, 999999999)",
    "(1,)*99",
)


def read_golden(contract: Contract) -> Callable[[bytes], object]:
    """Reads traces of a contract; numpy must read the same."""

    def read(data: bytes) -> None:
        traces = golden.from_npz(data)
        golden.check(traces, contract)
        with np.load(io.BytesIO(data), allow_pickle=False) as opened:
            for group in ("inputs", "outputs"):
                for name, array in getattr(traces, group).items():
                    if not np.isfinite(array).all() or not np.array_equal(array, opened[f"{group}/{name}"]):
                        raise Violation(f"read {group}/{name} in another way than numpy does")

    return read
