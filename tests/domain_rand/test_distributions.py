"""Quantile functions: bounds, order, and the distribution that they claim."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.codec import FieldError
from domain_rand.distributions import (
    MOST_VALUES,
    Categorical,
    Constant,
    Empirical,
    LogUniform,
    TruncatedNormal,
    Uniform,
    parse,
)

finite = st.floats(-1e6, 1e6, allow_nan=False)
positive = st.floats(1e-6, 1e6, allow_nan=False)
uniforms = st.tuples(finite, finite).map(lambda p: Uniform(min(p), max(p)))
log_uniforms = st.tuples(positive, positive).map(lambda p: LogUniform(min(p), max(p)))
shares = st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=2, max_size=20).map(lambda u: np.sort(np.array(u)))


@given(uniforms | log_uniforms, shares)
def test_quantiles_rise_and_stay_within_bounds(distribution, u):
    values = distribution.quantile(u)
    slack = 1e-9 * max(abs(distribution.low), abs(distribution.high))
    assert values.shape == u.shape
    assert (np.diff(values) >= -slack).all()
    assert (values >= distribution.low - slack).all()
    assert (values <= distribution.high + slack).all()
    ends = distribution.quantile(np.array([0.0, 1.0]))
    np.testing.assert_allclose(ends, [distribution.low, distribution.high], rtol=1e-9, atol=slack)


def test_uniform_and_log_uniform_have_the_moments_of_their_kind():
    u = (np.arange(10_000) + 0.5) / 10_000
    x = Uniform(-1.0, 3.0).quantile(u)
    assert x.mean() == pytest.approx(1.0)
    assert x.std() == pytest.approx(4.0 / math.sqrt(12.0), rel=1e-3)
    y = LogUniform(0.1, 10.0).quantile(u)
    assert np.median(y) == pytest.approx(1.0, rel=1e-3)
    assert y.mean() == pytest.approx((10.0 - 0.1) / math.log(100.0), rel=1e-3)


def test_a_constant_is_constant():
    assert (Constant(0.3).quantile(np.array([[0.0, 0.5], [0.7, 0.99]])) == 0.3).all()


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (math.nan, 1.0), (0.0, math.inf), (-math.inf, 0.0)])
def test_a_uniform_that_is_none_is_refused(bounds):
    with pytest.raises(ValueError, match="Uniform needs finite low <= high"):
        Uniform(*bounds)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 1.0)])
def test_a_log_uniform_that_is_none_is_refused(bounds):
    with pytest.raises(ValueError, match="LogUniform needs 0 < low <= high"):
        LogUniform(*bounds)


values = st.lists(finite, min_size=1, max_size=8).map(tuple)
normals = st.tuples(finite, st.floats(0.5, 1e3), st.floats(-3.0, 3.0), st.floats(0.1, 4.0)).map(
    lambda p: TruncatedNormal(p[0], p[1], p[0] + p[1] * p[2], p[0] + p[1] * (p[2] + p[3]))
)
categories = values.map(lambda v: Categorical(v, tuple(float(i % 3) + 0.5 for i in range(len(v)))))
empiricals = values.map(Empirical)
distributions = uniforms | log_uniforms | finite.map(Constant) | normals | categories | empiricals


@given(distributions)
def test_a_description_is_json_and_is_read_back(distribution):
    described = json.loads(json.dumps(distribution.describe()))
    assert parse(described, "x") == distribution


@given(distributions, shares)
def test_every_quantile_rises_within_its_support(distribution, u):
    low, high = distribution.support
    slack = 1e-9 * max(abs(low), abs(high))
    found = distribution.quantile(u)
    assert found.shape == u.shape
    assert (np.diff(found) >= -slack).all()
    assert (found >= low - slack).all()
    assert (found <= high + slack).all()
    np.testing.assert_allclose(distribution.quantile(np.array([0.0, 1.0])), [low, high], rtol=1e-9, atol=slack)


@given(distributions, st.floats(1.0, 3.0))
def test_what_is_widened_contains_what_it_was_and_keeps_what_cannot_be_negative(distribution, factor):
    wide = distribution.widened(factor)
    (low, high), (wide_low, wide_high) = distribution.support, wide.support
    slack = 1e-9 * max(1.0, abs(low), abs(high), high - low)
    assert type(wide) is type(distribution)
    assert wide_low <= low + slack
    assert wide_high >= high - slack
    assert low < 0.0 or wide_low >= 0.0


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 2.0), (2.0, 9.0), (-30.0, -4.0), (6.0, 8.0), (-40.0, 40.0), (-0.1, 0.1)]
)
def test_a_truncated_normal_has_the_probabilities_of_a_normal_within_its_bounds(low, high):
    """Also far out in a tail, where 1 - p has no digits left. The density at each quantile, integrated, gives u."""
    normal = TruncatedNormal(1.0, 2.0, 1.0 + 2.0 * low, 1.0 + 2.0 * high)
    u = np.linspace(0.001, 0.999, 400)
    z = (normal.quantile(u) - 1.0) / 2.0
    grid = np.linspace(low, high, 400_001)
    # Relative to the density's largest value, so that nothing underflows.
    peak = min(abs(low), abs(high)) if low * high > 0.0 else 0.0
    density = np.exp(-0.5 * (grid**2 - peak**2))
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    np.testing.assert_allclose(np.interp(z, grid, cumulative / cumulative[-1]), u, atol=2e-5)


def test_a_categorical_gives_each_value_its_share():
    coin = Categorical((5.0, -1.0, 2.0, 7.0), (1.0, 2.0, 1.0, 0.0))
    u = (np.arange(1000) + 0.5) / 1000
    found, count = np.unique(coin.quantile(u), return_counts=True)
    assert dict(zip(found.tolist(), count.tolist(), strict=True)) == {-1.0: 500, 2.0: 250, 5.0: 250}
    assert coin.support == (-1.0, 5.0)


def test_an_empirical_distribution_gives_each_measured_value_alike():
    measured = Empirical((0.3, 0.1, 0.2, 0.2))
    u = (np.arange(1000) + 0.5) / 1000
    found, count = np.unique(measured.quantile(u), return_counts=True)
    assert dict(zip(found.tolist(), count.tolist(), strict=True)) == {0.1: 250, 0.2: 500, 0.3: 250}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TruncatedNormal(0.0, 0.0, -1.0, 1.0), "TruncatedNormal needs finite numbers, std > 0 and low < high"),
        (lambda: TruncatedNormal(0.0, 1.0, 1.0, 1.0), "TruncatedNormal needs finite numbers, std > 0 and low < high"),
        (lambda: TruncatedNormal(0.0, 1.0, 50.0, 51.0), "nothing of a normal with mean 0.0 and std 1.0 lies between"),
        (lambda: Categorical((), ()), "as many weights as values, one at least"),
        (lambda: Categorical((1.0, 2.0), (1.0,)), "as many weights as values, one at least"),
        (lambda: Categorical((1.0, 2.0), (0.0, 0.0)), "no weight below 0, and one above it"),
        (lambda: Categorical((1.0, 2.0), (2.0, -1.0)), "no weight below 0, and one above it"),
        (lambda: Empirical(()), f"needs 1 to {MOST_VALUES} values, got 0"),
        (lambda: Empirical((0.0,) * (MOST_VALUES + 1)), "thin them out"),
        (lambda: Empirical((math.nan,)), "needs finite values"),
        (lambda: Constant(math.inf), "needs a finite value"),
    ],
)
def test_a_distribution_that_is_none_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ([], "terms.x: must be an object, got a list of 0"),
        ({}, "terms.x.kind: missing; one of constant, uniform"),
        ({"kind": "gauss"}, "terms.x.kind: must be one of constant, uniform"),
        ({"kind": "uniform", "low": 0.0}, "terms.x.high: missing"),
        ({"kind": "uniform", "low": 0.0, "high": "1"}, "terms.x.high: must be a number, got '1'"),
        ({"kind": "uniform", "low": 0.0, "high": 1.0, "mean": 0.5}, "terms.x.mean: unknown field"),
        ({"kind": "uniform", "low": 2.0, "high": 1.0}, "terms.x: Uniform needs finite low <= high"),
        ({"kind": "empirical", "values": [0.0, None]}, r"terms.x.values\[1\]: must be a number, got None"),
    ],
)
def test_a_description_that_is_wrong_is_refused_by_its_field(described, message):
    with pytest.raises(FieldError, match=message):
        parse(described, "terms.x")
