"""Levels, success rates, margins and elementary effects, against what is known of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import isotonic_regression

from domain_rand.distributions import Categorical, Constant, Empirical, LogUniform, TruncatedNormal, Uniform
from domain_rand.spec import Randomisation, Term
from policies.sweep.joint import CHANCE, Effect, design, effects, floor
from policies.sweep.margin import MARGIN_CONFIDENCE, falling, holds_to, margin_interval, wilson
from policies.sweep.ranges import Range, ranges
from policies.sweep.result import Joint
from sim.engines.engine import Parameter
from sim.sensors import MAX_SENSOR_DELAY

PERIOD, BASE_MASS = 0.02, 6.0

# -- levels -------------------------------------------------------------------------------------------------------


@given(
    low=st.floats(-50.0, 50.0),
    width=st.floats(1e-3, 20.0),
    room=st.tuples(st.floats(0.0, 30.0), st.floats(0.0, 30.0)),
    reach=st.floats(0.5, 12.0),
    each_side=st.integers(1, 9),
)
def test_levels_go_outwards_from_the_middle_as_far_as_is_possible(
    low: float, width: float, room: tuple[float, float], reach: float, each_side: int
) -> None:
    high = low + width
    one = Range("x", "1", low, high, lowest=low - room[0], highest=high + room[1])
    offsets = one.offsets(reach, each_side)
    values = one.value(offsets)
    assert 0.0 in offsets
    assert (np.diff(offsets) > 0.0).all()
    assert offsets[0] >= -reach - 1e-9 and offsets[-1] <= reach + 1e-9
    assert (values >= one.lowest).all() and (values <= one.highest).all()
    assert one.value(np.array([-1.0, 0.0, 1.0])) == pytest.approx([low, 0.5 * (low + high), high], rel=1e-9, abs=1e-9)
    # Either as far as was asked for, or to the limit.
    assert offsets[0] == pytest.approx(-reach) or values[0] == pytest.approx(one.lowest, rel=1e-6, abs=1e-6)
    assert offsets[-1] == pytest.approx(reach) or values[-1] == pytest.approx(one.highest, rel=1e-6, abs=1e-6)


def test_what_lies_beyond_the_limit_is_one_level_at_it() -> None:
    one = Range("friction", "1", 0.4, 1.2, lowest=0.0)
    assert one.value(one.offsets(4.0, 4))[0] == 0.0, "to the last bit"
    assert one.value(one.offsets(4.0, 4)) == pytest.approx([0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4])


def test_a_logarithmic_range_is_left_in_factors() -> None:
    one = Range("kp_factor", "1", 0.5, 2.0, logarithmic=True, lowest=0.0)
    assert one.value(one.offsets(3.0, 3)) == pytest.approx([0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
    assert one.ends(3.0) == (-3.0, 3.0), "nothing is reached where the logarithm has no end"


def _found(*terms: Term) -> tuple[dict[str, Range], dict[str, str]]:
    parameters = {term.parameter: Parameter(1, "1", 0.0, "") for term in terms if term.parameter != "restitution"}
    found, left_out = ranges(
        Randomisation(terms), parameters, engine="some_engine", control_period=PERIOD, base_mass=BASE_MASS
    )
    return {one.parameter: one for one in found}, {one.parameter: one.reason for one in left_out}


@pytest.mark.parametrize(
    ("name", "low", "high", "lowest", "highest"),
    [
        ("friction", 0.4, 1.2, 0.0, math.inf),
        ("encoder_offset", 0.01, 0.02, -math.inf, math.inf),
        ("payload_mass", -1.0, 2.0, -0.9 * BASE_MASS, math.inf),
        ("link_mass_factor", 0.9, 1.1, 0.1, math.inf),
        ("push_interval", 4.0, 8.0, PERIOD, math.inf),
        ("battery_sag", 0.0, 0.2, 0.0, 1.0),
        ("sensor_drop", 0.0, 0.1, 0.0, 1.0),
        ("action_delay", 0.0, 0.01, 0.0, PERIOD),
        ("sensor_delay", 0.0, 0.01, 0.0, MAX_SENSOR_DELAY),
        ("something_new", -0.1, 0.2, -math.inf, math.inf),
        ("something_else", 0.1, 0.2, 0.0, math.inf),
    ],
)
def test_physical_limits(name: str, low: float, high: float, lowest: float, highest: float) -> None:
    found, _ = _found(Term(name, Uniform(low, high)))
    assert (found[name].lowest, found[name].highest) == (pytest.approx(lowest), pytest.approx(highest))


def test_a_delay_leaves_room_for_its_jitter() -> None:
    found, _ = _found(Term("action_delay", Uniform(0.0, 0.01)), Term("action_jitter", Uniform(0.0, 0.004)))
    # Of 20 ms training takes up 14; both may have half of the rest, jointly too.
    assert found["action_delay"].highest == pytest.approx(0.013)
    assert found["action_jitter"].highest == pytest.approx(0.007)


def test_a_payload_leaves_something_of_the_lightest_base() -> None:
    found, _ = _found(Term("payload_mass", Uniform(-1.0, 2.0)), Term("base_mass_factor", Uniform(0.5, 1.5)))
    assert found["payload_mass"].lowest == pytest.approx(-0.9 * 0.5 * BASE_MASS)


def test_what_cannot_be_varied_is_left_out_with_the_reason() -> None:
    found, left_out = _found(
        Term("gyro_noise", Constant(0.1)),
        Term("kp_factor", Categorical((0.9, 1.1), (1.0, 1.0))),
        Term("restitution", Uniform(0.0, 0.3)),
        Term("kd_factor", Empirical((0.8, 0.9, 1.3))),
        Term("friction", TruncatedNormal(0.8, 0.1, 0.5, 1.0)),
        Term("motor_strength", LogUniform(0.8, 1.25)),
    )
    assert left_out == {
        "gyro_noise": "training always has it at 0.1, which is no range to go beyond",
        "kp_factor": "training draws it from categories, and nothing lies between or beyond them",
        "restitution": "engine some_engine cannot set it",
    }
    assert (found["kd_factor"].low, found["kd_factor"].high) == (0.8, 1.3)
    assert (found["friction"].low, found["friction"].high) == (0.5, 1.0)
    assert {name: one.logarithmic for name, one in found.items()} == {
        "kd_factor": False,
        "friction": False,
        "motor_strength": True,
    }


# -- success rates ------------------------------------------------------------------------------------------------


@given(episodes=st.integers(1, 400), data=st.data())
def test_wilson_bounds_are_where_the_score_test_is_at_its_limit(episodes: int, data: st.DataObject) -> None:
    """Wilson's bounds p solve (rate - p)^2 = z^2 p (1 - p) / n."""
    successes = data.draw(st.integers(0, episodes))
    low, high = (float(bound) for bound in wilson(np.array(successes), np.array(episodes)))
    rate = successes / episodes
    assert 0.0 <= low <= rate <= high <= 1.0
    for bound in (low, high):
        assert (rate - bound) ** 2 == pytest.approx(1.959964**2 * bound * (1.0 - bound) / episodes, rel=1e-4, abs=1e-12)


def test_wilson_of_eight_in_ten() -> None:
    low, high = wilson(np.array([8]), np.array([10]))
    assert (low[0], high[0]) == (pytest.approx(0.4901625, abs=1e-6), pytest.approx(0.9433178, abs=1e-6))


RATES = arrays(np.float64, st.integers(1, 12), elements=st.integers(0, 16).map(lambda hits: hits / 16))


@given(RATES)
def test_the_falling_fit_is_isotonic_regression(rates: np.ndarray) -> None:
    assert falling(rates) == pytest.approx(isotonic_regression(rates, increasing=False).x, abs=1e-12)
    assert falling(np.stack([rates, rates[::-1]]))[1] == pytest.approx(falling(rates[::-1]), abs=1e-12)


# -- margins ------------------------------------------------------------------------------------------------------


@given(
    levels=st.integers(2, 12),
    reach=st.floats(0.5, 20.0),
    crossing=st.floats(0.05, 0.95),
    share=st.floats(0.3, 0.95),
    steep=st.floats(0.05, 3.0),
)
def test_the_margin_of_a_straight_line_is_exact(
    levels: int, reach: float, crossing: float, share: float, steep: float
) -> None:
    distances = np.linspace(0.0, reach, levels)
    at = crossing * reach
    # Rates are no more than 1 and no less than 0; a line that is clipped bends, so keep it within.
    slope = min(steep, (1.0 - share) / at, share / (reach - at))
    success = share - slope * (distances - at)
    assert float(holds_to(distances, success, share)) == pytest.approx(at, rel=1e-6, abs=1e-6)


@given(RATES, st.floats(0.1, 1.0))
def test_margins_are_zero_finite_or_infinite_as_the_rates_say(rates: np.ndarray, share: float) -> None:
    distances = np.arange(len(rates), dtype=np.float64)
    found = float(holds_to(distances, rates, share))
    if (rates >= share).all():
        assert found == math.inf
    elif found == math.inf:
        assert falling(rates)[-1] >= share - 1e-6
    else:
        assert 0.0 <= found <= distances[-1]
        assert (falling(rates)[distances > found] < share).all()
        assert (falling(rates)[distances < found - 1e-6] >= share - 1e-6).all()


def test_one_unlucky_level_is_no_failure() -> None:
    distances = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    hits = np.array([16, 16, 12, 16, 8, 0])
    assert 6.0 < float(holds_to(distances, hits / 16, 0.8)) < 8.0
    assert float(holds_to(distances, np.array([12, 12, 12, 12, 12, 12]) / 16, 0.8)) == 0.0


def test_margin_intervals_cover_as_often_as_stated() -> None:
    rng = np.random.default_rng(5)
    distances, share, episodes, trials = np.linspace(0.0, 4.0, 9), 0.8, 16, 120
    true = 2.3
    # A logistic curve that is at `share` there.
    rate = 1.0 / (1.0 + np.exp(3.0 * (distances - true) - math.log(share / (1.0 - share))))
    covered = 0
    for trial in range(trials):
        low, high = margin_interval(distances, rng.binomial(episodes, rate), episodes, share, trial)
        assert 0.0 <= low <= high
        covered += low <= true <= high
    assert covered / trials >= MARGIN_CONFIDENCE - 0.07, "a few less: it is no straight line between levels"


def test_without_any_failure_the_margin_has_no_end() -> None:
    distances = np.linspace(0.0, 4.0, 5)
    assert margin_interval(distances, np.full(5, 200), 200, 0.8, 0) == (math.inf, math.inf)
    low, high = margin_interval(distances, np.array([200, 200, 200, 0, 0]), 200, 0.8, 0)
    assert 2.0 <= low <= high <= 3.0


# -- jointly ------------------------------------------------------------------------------------------------------


def test_elementary_effects_of_a_linear_function_are_its_slopes() -> None:
    slopes = {"first": 0.5, "second": -2.0, "third": 0.0}
    points = design(list(slopes), trajectories=6, seed=3)
    assert points.shape == (6 * 5, 4)
    assert points.min() == 0.0 and points.max() == 1.0
    # Along a trajectory one column changes at a time, and each does once.
    moved = np.diff(points.reshape(6, 5, 4), axis=1) != 0.0
    assert (moved.sum(axis=2) == 1).all() and (moved.sum(axis=1) == 1).all()
    found = effects(list(slopes), points, points[:, :3] @ np.array(list(slopes.values())), seed=0)
    assert [effect.parameter for effect in found][:2] == ["second", "first"]
    for effect in found:
        slope = slopes.get(effect.parameter, 0.0)
        assert effect.mu == pytest.approx(slope, abs=1e-9)
        assert effect.mu_star == pytest.approx(abs(slope), abs=1e-9)
        assert effect.sigma == pytest.approx(0.0, abs=1e-9)
        assert effect.confidence == pytest.approx(0.0, abs=1e-9)
    joint = Joint(30, 0.5, 0.1, found)
    assert {effect.parameter for effect in found if joint.stands_out(effect)} == {"first", "second"}


def test_sigma_shows_what_depends_on_the_others_and_chance_is_told_apart() -> None:
    rng = np.random.default_rng(1)
    names = ["product", "factor", "alone"]
    points = design(names, trajectories=60, seed=4)
    luck = 0.05 * rng.normal(size=len(points))
    found = effects(names, points, points[:, 0] * points[:, 1] + 0.5 * points[:, 2] + luck, seed=0)
    by_name = {effect.parameter: effect for effect in found}
    assert by_name["product"].sigma > 3.0 * by_name["alone"].sigma
    assert by_name["alone"].mu == pytest.approx(0.5, abs=0.05)
    assert by_name["product"].mu == pytest.approx(0.5, abs=0.15), "the other factor is half on average"
    chance = by_name[CHANCE]
    joint = Joint(len(points), 0.5, floor(chance, 60, 1), found)
    assert joint.floor == chance.mu_star + chance.confidence, "it struck, so that it was measured"
    assert not joint.stands_out(chance)
    assert all(joint.stands_out(by_name[name]) for name in names)


def test_where_luck_never_struck_the_rule_of_three_says_what_it_may_do() -> None:
    silent = Effect(CHANCE, 0.0, 0.0, 0.0, 0.0)
    # Three of ten trajectories, one episode of four each, over two thirds of the range.
    assert floor(silent, 10, 4) == pytest.approx(0.3 * 0.25 * 1.5)
