"""Processes that step PyBullet worlds.

They are new interpreters rather than forks, since torch's threads do not survive a fork, and they live no longer than
their channel to the engine's process, however that ends.
"""

import mmap
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from contract.errors import LandbridgeError
from sim.engines.pybullet.spec import Array, Batch, Layout, WorldSpec, layout

_PATIENCE = 5.0  # s, for a process to end by itself


class Worlds(Protocol):
    """Steps the environments of a batch. Every method raises LandbridgeError where that fails."""

    def configure(self, rows: Sequence[int]) -> None:
        """Take the parameters of these environments from the batch."""

    def step(self, rows: Sequence[int]) -> None:
        """Advance these environments one control period."""

    def place(self, rows: Sequence[int]) -> None:
        """Write where the feet are in the present state of these environments."""

    def close(self) -> None:
        """Release the environments."""


def open_worlds(
    spec: WorldSpec, num_envs: int, parameters: Mapping[str, Array], base: Array, processes: int
) -> tuple[Batch, Worlds]:
    """Worlds, and the batch that they share with the caller.

    Args:
        spec: of each.
        num_envs: how many.
        parameters: to begin with, (size,) each.
        base: what they make of the base, see `Batch`.
        processes: that they are shared out to; 0 for the calling one.
    """
    arrays = layout(spec, num_envs, {name: len(value) for name, value in parameters.items()})
    memory = os.memfd_create("landbridge-pybullet")
    try:
        os.ftruncate(memory, arrays.bytes)
        batch = arrays.view(memoryview(mmap.mmap(memory, arrays.bytes)))
        for name, value in parameters.items():
            batch.parameters[name][:] = value
        batch.base[:] = base
        if processes == 0:
            from sim.engines.pybullet.worker import OwnWorlds

            return batch, OwnWorlds(spec, batch, range(num_envs))
        return batch, Pool(spec, arrays, memory, num_envs, processes)
    finally:
        os.close(memory)


class Pool:
    """Worlds shared out to processes, at least one."""

    def __init__(self, spec: WorldSpec, arrays: Layout, memory: int, num_envs: int, processes: int) -> None:
        self._workers: list[_Worker] = []
        try:
            for rows in np.array_split(np.arange(num_envs), processes):
                self._workers.append(_Worker(memory, rows.tolist()))
            for worker in self._workers:
                worker.ask(spec, arrays, worker.rows)
            self._answers(self._workers)
        except BaseException:
            self.close()
            raise

    def configure(self, rows: Sequence[int]) -> None:
        self._all("configure", rows)

    def step(self, rows: Sequence[int]) -> None:
        self._all("step", rows)

    def place(self, rows: Sequence[int]) -> None:
        self._all("place", rows)

    def close(self) -> None:
        for worker in self._workers:
            worker.hang_up()
        for worker in self._workers:
            worker.end()
        self._workers = []

    def _all(self, method: str, rows: Sequence[int]) -> None:
        if not self._workers:
            raise LandbridgeError("engine pybullet: it is closed")
        wanted = set(rows)
        shares = [(worker, [row for row in worker.rows if row in wanted]) for worker in self._workers]
        asked = [(worker, share) for worker, share in shares if share]
        try:
            for worker, share in asked:
                worker.ask(method, share)
            self._answers([worker for worker, _ in asked])
        except KeyboardInterrupt:  # an answer that nobody has waited for would be taken for that to the next request
            self.close()
            raise

    @staticmethod
    def _answers(workers: Sequence["_Worker"]) -> None:
        errors = [worker.answer() for worker in workers]  # all, or the next request would get what is left of this one
        for error in errors:
            if error:
                raise LandbridgeError(error)


class _Worker:
    """One process, and the rows that it has."""

    def __init__(self, memory: int, rows: list[int]) -> None:
        self.rows = rows
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sim.engines.pybullet.worker", str(theirs.fileno()), str(memory)],
                pass_fds=(theirs.fileno(), memory),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # Bullet's own remarks
            )
        self._channel = Connection(ours.detach())

    def ask(self, *request: Any) -> None:
        try:
            self._channel.send(request)
        except ConnectionError:
            raise LandbridgeError(self._death()) from None

    def answer(self) -> str:
        """An error's text; empty where all is well."""
        try:
            return str(self._channel.recv())
        except (EOFError, ConnectionError):
            return self._death()

    def _death(self) -> str:
        try:
            code = self._process.wait(_PATIENCE)
            how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        except subprocess.TimeoutExpired:
            how = "hung up"
        return (
            f"engine pybullet: the process of environments {self.rows[0]} to {self.rows[-1]} {how}; "
            "was there memory enough? Each environment takes about 35 MB"
        )

    def hang_up(self) -> None:
        self._channel.close()

    def end(self) -> None:
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
