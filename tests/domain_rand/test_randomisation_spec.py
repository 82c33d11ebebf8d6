"""The typed list of what is randomised, and its widening for held-out tests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_rand.distributions import Constant, LogUniform, Uniform
from domain_rand.presets import QUADRUPED
from domain_rand.spec import Per, Randomisation, Term

numbers = st.floats(-1e3, 1e3, allow_nan=False)
positive = st.floats(1e-3, 1e3, allow_nan=False)
uniforms = st.tuples(numbers, numbers).map(lambda p: Uniform(min(p), max(p)))
log_uniforms = st.tuples(positive, positive).map(lambda p: LogUniform(min(p), max(p)))
factors = st.floats(1.0, 3.0)


def _widened(distribution, factor):
    return Randomisation((Term("x", distribution),)).widened(factor).terms[0].distribution


def test_two_terms_for_one_parameter_are_refused():
    with pytest.raises(ValueError, match="'friction' has more than one term"):
        Randomisation((Term("friction", Uniform(0, 1)), Term("mass", Constant(1)), Term("friction", Constant(1))))


@given(uniforms | log_uniforms, factors)
def test_a_wider_range_contains_the_old_one_and_keeps_what_cannot_be_negative(distribution, factor):
    wide = _widened(distribution, factor)
    slack = 1e-9 * max(1.0, abs(distribution.low), abs(distribution.high))
    assert type(wide) is type(distribution)
    assert wide.low <= distribution.low + slack
    assert wide.high >= distribution.high - slack
    if distribution.low >= 0.0:
        assert wide.low >= 0.0


@pytest.mark.parametrize(
    ("distribution", "factor", "low", "high"),
    [
        (Uniform(0.9, 1.1), 2.0, 0.8, 1.2),
        (Uniform(-1.0, 2.0), 2.0, -2.5, 3.5),
        (Uniform(0.0, 0.4), 1.5, 0.0, 0.5),
        (LogUniform(0.5, 2.0), 2.0, 0.25, 4.0),
    ],
)
def test_widening_is_about_the_centre(distribution, factor, low, high):
    wide = _widened(distribution, factor)
    assert (wide.low, wide.high) == (pytest.approx(low), pytest.approx(high))


def test_a_constant_stays():
    assert _widened(Constant(0.3), 2.0) == Constant(0.3)


def test_widening_keeps_all_else():
    wide = QUADRUPED.widened(1.25)
    assert [(t.parameter, t.per) for t in wide.terms] == [(t.parameter, t.per) for t in QUADRUPED.terms]
    assert QUADRUPED.widened(1.0).describe().keys() == QUADRUPED.describe().keys()


def test_the_description_is_json_with_one_entry_a_parameter():
    described = json.loads(json.dumps(QUADRUPED.describe()))
    assert list(described) == [t.parameter for t in QUADRUPED.terms]
    assert described["joint_armature"]["per"] == Per.ROBOT.value
    assert all(entry["kind"] in ("uniform", "log_uniform", "constant") for entry in described.values())
