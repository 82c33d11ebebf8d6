"""The counter-based generator, against numpy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain_rand import philox

words = st.integers(0, 2**64 - 1)
# The first word counts blocks; numpy carries beyond its end, which nobody reaches.
blocks = st.integers(0, 2**60)


@given(st.lists(st.tuples(blocks, words, words, words, words, words), min_size=1, max_size=6))
def test_each_number_is_numpys(lanes):
    counters = np.array([lane[:4] for lane in lanes], np.uint64)
    keys = np.array([lane[4:] for lane in lanes], np.uint64)
    np.testing.assert_array_equal(philox.uniform(keys, counters), philox._at_once(keys, counters))
    found = philox._at_once(keys, counters)
    for counter, key, numbers in zip(counters, keys, found, strict=True):
        expected = np.random.Generator(np.random.Philox(counter=counter, key=key)).random(4)
        np.testing.assert_array_equal(numbers, expected)


def test_shapes_broadcast():
    counters = np.zeros((5, 3, 4), np.uint64)
    counters[..., 2] = 1000 * np.arange(5, dtype=np.uint64)[:, None]
    keys = np.array([[1, 2], [3, 4], [5, 6]], np.uint64)
    for count in (1, 40):  # few and many
        numbers = philox.uniform(keys, np.concatenate([counters + np.uint64(i) for i in range(count)]))
        assert numbers.shape == (5 * count, 3, philox.BLOCK)
        assert np.unique(numbers).size == numbers.size
