"""PyBullet, imported without its greeting."""

import os
import sys

_ERR = 2  # its C code writes there, past `sys.stderr`


def _quietly() -> None:
    sys.stderr.flush()
    kept = os.dup(_ERR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _ERR)
        import pybullet  # noqa: F401
    finally:
        os.dup2(kept, _ERR)
        os.close(kept)
        os.close(nowhere)


_quietly()
import pybullet  # noqa: E402

__all__ = ["pybullet"]
