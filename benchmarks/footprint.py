"""What environments add to a process's memory, measured in a fresh process where nothing freed is used again."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing

from benchmarks import machine
from benchmarks.scene import Targets, advance, make_env

_STEPS = 3


def footprint(num_envs: int, threads: int) -> int:
    """Bytes that `num_envs` environments add to resident memory when they are made and have been stepped."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(_grow, num_envs, threads).result()


def _grow(num_envs: int, threads: int) -> int:
    make_env(1, threads).close()  # what is loaded once is not an environment's
    before = machine.resident_bytes()
    with closing(make_env(num_envs, threads)) as env:
        advance(env, Targets(env, _STEPS).draw())
        return machine.resident_bytes() - before
