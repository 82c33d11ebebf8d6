"""The worlds of some rows of a batch, in the engine's process or, run as a module, in one of their own."""

import contextlib
import mmap
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeVar

from contract.errors import LandbridgeError
from sim.engines.pybullet.spec import Batch, WorldSpec
from sim.engines.pybullet.world import World

T = TypeVar("T")


class OwnWorlds:
    """Environments `rows` of a batch, in this process. See `sim.engines.pybullet.pool.Worlds`."""

    def __init__(self, spec: WorldSpec, batch: Batch, rows: Sequence[int]) -> None:
        self._worlds = {row: World(spec, batch, row) for row in rows}

    def configure(self, rows: Sequence[int]) -> None:
        for row in rows:
            self._worlds[row].configure()

    def step(self, rows: Sequence[int]) -> None:
        for row in rows:
            self._worlds[row].step()

    def place(self, rows: Sequence[int]) -> None:
        for row in rows:
            self._worlds[row].place()

    def close(self) -> None:
        for world in self._worlds.values():
            world.close()


def main(channel: int, memory: int) -> None:
    """Serve the engine at the other end of `channel`, sharing the memory of the file `memory`, until it hangs up.

    After (spec, layout, rows) requests are (method of `OwnWorlds`, rows). Each is answered by an error's text, empty
    where there is none.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the engine's to handle: when it ends, so does this
    connection = Connection(channel)
    with contextlib.suppress(EOFError, ConnectionError):  # the engine is gone
        spec, layout, rows = connection.recv()
        batch = layout.view(memoryview(mmap.mmap(memory, layout.bytes)))
        worlds = _serve(connection, lambda: OwnWorlds(spec, batch, rows))
        while worlds is not None:
            method, rows = connection.recv()
            _serve(connection, partial(getattr(worlds, method), rows))


def _serve(connection: Connection, request: Callable[[], T]) -> T | None:
    """Do it and answer. None where it failed."""
    result, error = None, ""
    try:
        result = request()
    except LandbridgeError as failure:
        error = str(failure)
    except Exception as failure:
        error = f"engine pybullet: {type(failure).__name__}: {failure}"
    connection.send(error)
    return result


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
