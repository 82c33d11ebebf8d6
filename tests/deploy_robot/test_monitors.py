"""The figures behind the constraints: against independent formulas, in batches, with NaN, in numpy and torch."""

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from contract import rotations
from deploy_robot import monitors

NOT_FINITE = (math.nan, math.inf, -math.inf)
LIMIT = np.array([1.0, 20.0, 0.5, 3.0])
LOWER = np.array([-1.0, 0.0, 2.0, -3.0])
UPPER = np.array([1.0, 0.5, 2.5, -1.0])
UP = np.array([0.6, 0.0, 0.8])

moderate = st.floats(-100.0, 100.0)
vectors = hnp.arrays(np.float64, 4, elements=moderate)
quats = vectors.filter(lambda q: np.linalg.norm(q) > 0.1)

# Every function, as one of the vector (..., 4) alone, reduced to (...) as the constraints use it.
FIGURES: dict[str, Callable] = {
    "not_finite": monitors.not_finite,
    "beyond_range": lambda x: monitors.worst(monitors.beyond_range(x, _like(LOWER, x), _like(UPPER, x))),
    "share_of_limit": lambda x: monitors.worst(monitors.share_of_limit(x, _like(LIMIT, x))),
    "rate_share": lambda x: monitors.worst(monitors.rate_share(x, 0.02, _like(LIMIT, x))),
    "power": lambda x: monitors.power(x, _like(LIMIT, x)),
    "share_outside": lambda x: monitors.share_outside(x, _like(LOWER, x), _like(UPPER, x)),
    "world_up": lambda x: -abs(monitors.world_up(x)[..., 0]),
    "norm_error": monitors.norm_error,
    "tilt": lambda x: monitors.tilt(x, _like(UP, x)),
}
each_figure = pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)


def _like(constant: np.ndarray, x: object) -> object:
    return torch.from_numpy(constant) if isinstance(x, torch.Tensor) else constant


@given(vectors, vectors, hnp.arrays(np.float64, 4, elements=st.floats(0.001, 10.0)))
def test_beyond_range_is_positive_exactly_outside(values: np.ndarray, lower: np.ndarray, width: np.ndarray) -> None:
    upper = lower + width
    distance = monitors.beyond_range(values, lower, upper)
    assert np.allclose(distance, np.maximum(lower - values, values - upper), atol=1e-12)


@given(vectors)
def test_share_of_limit(values: np.ndarray) -> None:
    expected = [max(value, -value) / limit for value, limit in zip(values, LIMIT, strict=True)]
    assert monitors.share_of_limit(values, LIMIT).tolist() == pytest.approx(expected)


@given(vectors, vectors)
def test_rate_share_is_the_share_of_the_speed(before: np.ndarray, after: np.ndarray) -> None:
    expected = monitors.share_of_limit((after - before) / 0.02, LIMIT)
    assert np.allclose(monitors.rate_share(after - before, 0.02, LIMIT), expected)


@given(vectors, vectors)
def test_power_counts_braking_as_driving(torque: np.ndarray, velocity: np.ndarray) -> None:
    expected = math.fsum(abs(t * v) for t, v in zip(torque, velocity, strict=True))
    assert monitors.power(torque, velocity) == pytest.approx(expected)


@given(vectors)
def test_share_outside_counts(values: np.ndarray) -> None:
    outside = [not low <= value <= high for value, low, high in zip(values, LOWER, UPPER, strict=True)]
    assert monitors.share_outside(values, LOWER, UPPER) == sum(outside) / 4
    assert monitors.share_outside(LOWER, LOWER, UPPER) == monitors.share_outside(UPPER, LOWER, UPPER) == 0.0


@given(quats)
def test_world_up_is_the_world_s_axis_seen_from_the_imu(quat: np.ndarray) -> None:
    unit = quat / np.linalg.norm(quat)
    expected = rotations.quat_rotate_inverse(unit, [0.0, 0.0, 1.0])
    assert np.allclose(monitors.world_up(quat), expected, atol=1e-9)


@given(quats)
def test_norm_error(quat: np.ndarray) -> None:
    assert monitors.norm_error(quat) == pytest.approx(abs(np.linalg.norm(quat) - 1.0))


@given(quats, st.floats(0.1, 10.0))
@example(np.array([1.0, 0.0, 0.0, 0.0]), 1.0)
@example(np.array([0.0, 1.0, 0.0, 0.0]), 1.0)
def test_tilt_is_the_angle_of_the_turned_axis_whatever_the_length(quat: np.ndarray, scale: float) -> None:
    unit = quat / np.linalg.norm(quat)
    turned = rotations.quat_rotate(unit, UP)
    expected = math.atan2(np.hypot(turned[0], turned[1]), turned[2])
    # The arc cosine has an infinite slope at both ends.
    assert monitors.tilt(scale * unit, UP) == pytest.approx(expected, abs=1e-6)


def test_tilt_of_a_level_robot_is_zero_and_of_one_on_its_back_pi() -> None:
    up = np.array([0.0, 0.0, 1.0])
    assert monitors.tilt(np.array([0.5, 0.0, 0.0, 0.5]), up) == 0.0
    assert monitors.tilt(np.array([0.0, 0.0, 1.0, 0.0]), up) == pytest.approx(math.pi)


def test_tilt_of_no_orientation_is_not_a_number() -> None:
    with np.errstate(invalid="ignore"):
        assert math.isnan(monitors.tilt(np.zeros(4), UP))


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_not_finite_counts(values: np.ndarray) -> None:
    expected = [sum(not math.isfinite(value) for value in row) for row in values]
    assert monitors.not_finite(values).tolist() == expected


@each_figure
@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize("where", range(4))
@pytest.mark.parametrize("library", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_one_number_that_is_not_finite_never_passes(
    figure: Callable, bad: float, where: int, library: Callable
) -> None:
    values = np.array([0.5, 0.4, 0.3, 0.2])
    values[where] = bad
    with np.errstate(invalid="ignore"):
        assert not bool(figure(library(values)) <= 0.0)


@each_figure
@given(rows=hnp.arrays(np.float64, (3, 4), elements=st.floats(0.1, 50.0)))
def test_a_batch_is_its_rows_and_torch_agrees(figure: Callable, rows: np.ndarray) -> None:
    together = figure(rows)
    assert together.shape == (3,)
    # Sums may be taken in another order, hence not to the last bit.
    close = functools.partial(np.allclose, rtol=1e-12, atol=1e-12)
    assert close(together, [figure(row) for row in rows])
    assert close(figure(np.stack([rows, rows])), [together, together])
    in_torch = figure(torch.from_numpy(rows))
    assert isinstance(in_torch, torch.Tensor)
    assert close(in_torch.numpy(), together)


@each_figure
def test_one_bad_environment_leaves_the_others_alone(figure: Callable) -> None:
    rows = np.tile([0.5, 0.4, 0.3, 0.2], (3, 1))
    rows[1, 2] = math.nan
    passes = figure(rows) <= 1e3
    if figure is FIGURES["not_finite"]:
        passes = figure(rows) <= 0
    assert passes.tolist() == [True, False, True]
