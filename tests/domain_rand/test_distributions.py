"""Quantile functions: bounds, order, and the distribution that they claim."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_rand.distributions import Constant, LogUniform, Uniform

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


@given(uniforms | log_uniforms | finite.map(Constant))
def test_descriptions_are_json_and_say_the_kind(distribution):
    described = json.loads(json.dumps(distribution.describe()))
    kind = described.pop("kind")
    assert {"uniform": Uniform, "log_uniform": LogUniform, "constant": Constant}[kind](**described) == distribution
