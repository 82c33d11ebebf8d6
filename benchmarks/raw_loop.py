"""The yardstick: `mj_step` called as fast as an expert would, with nothing around it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CHUNKS_A_THREAD = 8  # small enough to balance the threads, large enough to cost nothing


class RawLoop:
    """Steps N environments, one model and one data each, on Python threads; `mj_step` releases the interpreter.

    All environments finish a control step before the next one begins, as they must where a policy answers.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], threads: int) -> None:
        self._models = models
        self._data = [mujoco.MjData(model) for model in models]
        self._control = [data.ctrl for data in self._data]  # views: asking for them anew costs as much as a copy
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        chunk = max(1, len(models) // (threads * _CHUNKS_A_THREAD))
        self._chunks = [range(i, min(i + chunk, len(models))) for i in range(0, len(models), chunk)]

    def place(self, qpos: Array, qvel: Array) -> None:
        """Set positions (N, nq) and velocities (N, nv)."""
        for data, position, velocity in zip(self._data, qpos, qvel, strict=True):
            data.qpos[:] = position
            data.qvel[:] = velocity

    def run(self, controls: Array, substeps: int) -> None:
        """Hold each row of `controls` (T, N, nu) for `substeps` physics steps."""
        for control in controls:
            if self._threads == 1:
                self._work(iter(self._chunks), control, substeps)
                continue
            # A shared iterator hands the next chunk to whoever is free: `next` of a list's iterator is atomic.
            chunks = iter(self._chunks)
            for job in [self._pool.submit(self._work, chunks, control, substeps) for _ in range(self._threads)]:
                job.result()

    def joint_pos(self) -> Array:
        """(N, J) rad, of a floating robot."""
        return np.stack([data.qpos[7:] for data in self._data])

    def contacts(self) -> float:
        """Contacts an environment in the last physics step, mean."""
        return float(np.mean([data.ncon for data in self._data]))

    def _work(self, chunks: Iterator[range], control: Array, substeps: int) -> None:
        models, data, views = self._models, self._data, self._control
        for chunk in chunks:
            for i in chunk:
                views[i][:] = control[i]
                mujoco.mj_step(models[i], data[i], substeps)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()
