"""Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), many counters at a time.

The numbers are those of `numpy.random.Generator(numpy.random.Philox(counter=..., key=...)).random()`, bit for bit;
numpy has no way to ask for those of many counters but one after the other.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

BLOCK = 4  # numbers that one counter gives

_FEW = 32  # so many are drawn faster by numpy's own generator, one after the other

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_KEY_STEP = np.array([0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B], np.uint64)
_LOW, _HALF, _MANTISSA = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(11)


def uniform(keys: Words, counters: Words) -> NDArray[np.float64]:
    """Numbers in [0, 1): (..., 4) for keys (..., 2), which broadcast, and counters (..., 4).

    The first word of a counter counts blocks, and must have room for one more.
    """
    lanes = max(keys.size // 2, counters.size // 4)
    return _one_by_one(keys, counters) if lanes <= _FEW else _at_once(keys, counters)


def _one_by_one(keys: Words, counters: Words) -> NDArray[np.float64]:
    shape = np.broadcast_shapes(keys.shape[:-1], counters.shape[:-1])
    if keys.shape[:-1] != shape:
        keys = np.broadcast_to(keys, (*shape, 2))
    bits, generator, fresh = _numpys()
    numbers = np.empty((*shape, BLOCK))
    for lane in np.ndindex(shape):
        state: Any = {**fresh, "state": {"counter": counters[lane], "key": keys[lane]}}
        bits.state = state
        numbers[lane] = generator.random(BLOCK)
    return numbers


@functools.cache
def _numpys() -> tuple[np.random.Philox, np.random.Generator, Any]:
    """One generator that is set back and forth, and its state when nothing was drawn."""
    bits = np.random.Philox(0)
    return bits, np.random.Generator(bits), bits.state


def _at_once(keys: Words, counters: Words) -> NDArray[np.float64]:
    a, b, c, d = (counters[..., i] for i in range(4))
    a = a + np.uint64(1)  # numpy's generator counts up before it draws
    key = keys
    for _ in range(_ROUNDS):
        high_a, low_a = _product(_MULTIPLIERS[0], a)
        high_c, low_c = _product(_MULTIPLIERS[1], c)
        a, b, c, d = high_c ^ b ^ key[..., 0], low_c, high_a ^ d ^ key[..., 1], low_a
        key = key + _KEY_STEP  # unsigned arithmetic wraps around
    words = np.stack(np.broadcast_arrays(a, b, c, d), axis=-1)
    return np.asarray((words >> _MANTISSA) * 2.0**-53, np.float64)


def _product(multiplier: np.uint64, word: Words) -> tuple[Words, Words]:
    """Upper and lower 64 bits of a product of 128, from products of halves."""
    m_low, m_high = multiplier & _LOW, multiplier >> _HALF
    low, high = word & _LOW, word >> _HALF
    lowest = m_low * low
    middle = m_high * low + (lowest >> _HALF)
    other = m_low * high + (middle & _LOW)
    return m_high * high + (middle >> _HALF) + (other >> _HALF), multiplier * word
