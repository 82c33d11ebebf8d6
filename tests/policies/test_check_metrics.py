"""Figures of merit against closed forms, and that nothing after a fall counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.check_metrics import EpisodeMetrics, mean_of_known, percentile, used_fraction
from policies.check_metrics import episode_metrics as metrics_of
from policies.check_plots import draw_columns, rank_correlation
from sim.rollout import Rollout
from sim.tasks.metrics import GRAVITY, VELOCITY_TRACKING, cost_of_transport, with_limits

PERIOD, STEPS, JOINTS = 0.02, 100, 3
MASS = 10.0


def episode_metrics(rollout: Rollout, settle: float) -> EpisodeMetrics:
    return metrics_of(rollout, settle, VELOCITY_TRACKING)


def steady(
    command: tuple[float, float, float],
    velocity: tuple[float, float, float],
    episodes: int = 2,
    fall: int | None = None,
) -> Rollout:
    """Robots that move at one velocity (vx, vy, yaw rate); the first falls in step `fall`."""
    shape = (STEPS, episodes)
    alive = np.ones(shape, bool)
    if fall is not None:
        alive[fall:, 0] = False
    linear, angular = np.zeros((*shape, 3), np.float32), np.zeros((*shape, 3), np.float32)
    linear[..., :2] = velocity[:2]
    angular[..., 2] = velocity[2]
    return Rollout(
        period=PERIOD,
        alive=alive,
        diverged=np.zeros(episodes, bool),
        command=np.tile(np.float32(command), (episodes, 1)),
        base_lin_vel=linear,
        base_ang_vel=angular,
        root_pos=np.zeros((*shape, 3), np.float32),
        root_quat=np.zeros((*shape, 4), np.float32),
        joint_pos=np.zeros((*shape, JOINTS), np.float32),
        joint_vel=np.full((*shape, JOINTS), -2.0, np.float32),
        joint_torque=np.full((*shape, JOINTS), 5.0, np.float32),
        joint_target=np.zeros((*shape, JOINTS), np.float32),
        mass=np.full(episodes, MASS),
        draws={},
    )


speeds = st.floats(-2.0, 2.0)
triples = st.tuples(speeds, speeds, speeds)


@given(command=triples, velocity=triples)
def test_errors_of_a_steady_robot(command: tuple[float, float, float], velocity: tuple[float, float, float]) -> None:
    metrics = episode_metrics(steady(command, velocity), settle=0.5)
    expected = np.hypot(velocity[0] - command[0], velocity[1] - command[1])
    np.testing.assert_allclose(metrics.scores["tracking error"], expected, atol=1e-5)
    np.testing.assert_allclose(metrics.scores["yaw rate error"], abs(velocity[2] - command[2]), atol=1e-5)
    for name, value in zip(("vx", "vy", "yaw rate"), velocity, strict=True):
        np.testing.assert_allclose(metrics.scores[name], value, atol=1e-5)
    assert not metrics.fell.any()
    np.testing.assert_allclose(metrics.duration, STEPS * PERIOD)


def test_settling_does_not_count() -> None:
    rollout = steady((0.5, 0.0, 0.0), (0.5, 0.0, 0.0))
    rollout.base_lin_vel[:50] = 9.0
    metrics = episode_metrics(rollout, settle=50 * PERIOD)
    np.testing.assert_allclose(metrics.scores["tracking error"], 0.0, atol=1e-6)
    assert (episode_metrics(rollout, settle=49 * PERIOD).scores["tracking error"] > 0.1).all()


@given(fall=st.integers(0, STEPS - 1), rubbish=st.sampled_from([np.nan, np.inf, 1e30]))
def test_what_comes_after_a_fall_does_not_count(fall: int, rubbish: float) -> None:
    clean = steady((0.5, 0.1, 0.2), (0.3, 0.0, 0.1), fall=fall)
    dirty = replace(
        clean, **{name: getattr(clean, name).copy() for name in ("base_lin_vel", "base_ang_vel", "joint_vel")}
    )
    for name in ("base_lin_vel", "base_ang_vel", "joint_vel"):
        getattr(dirty, name)[fall:, 0] = rubbish
    with np.errstate(invalid="ignore", over="ignore"):
        one, other = (episode_metrics(r, settle=0.2) for r in (clean, dirty))
    np.testing.assert_array_equal(one.duration, other.duration)
    for name in one.scores:
        np.testing.assert_array_equal(one.scores[name], other.scores[name])
    assert other.fell.tolist() == [True, False]
    assert other.duration[0] == pytest.approx(fall * PERIOD)
    # Fallen before it settled: nothing is known of it, and that must not look like zero.
    assert np.isnan(other.scores["tracking error"][0]) == (fall <= 10)


@given(speed=st.floats(0.2, 3.0), mass=st.floats(1.0, 100.0))
def test_cost_of_transport(speed: float, mass: float) -> None:
    """Three joints of 5 N m at 2 rad/s are 30 W, taken as positive though they brake."""
    rollout = replace(steady((speed, 0.0, 0.0), (0.0, speed, 0.0)), mass=np.full(2, mass))
    cost = cost_of_transport(rollout, rollout.alive)
    np.testing.assert_allclose(cost, 30.0 / (mass * GRAVITY * speed), rtol=1e-5)


@pytest.mark.parametrize(
    ("command", "velocity"),
    [((0.0, 0.0, 1.0), (0.5, 0.0, 1.0)), ((0.5, 0.0, 0.0), (0.01, 0.0, 0.0))],
    ids=["told to turn on the spot", "hardly moves"],
)
def test_no_transport_no_cost(command: tuple[float, float, float], velocity: tuple[float, float, float]) -> None:
    rollout = steady(command, velocity)
    assert np.isnan(cost_of_transport(rollout, rollout.alive)).all()


def test_used_fraction_of_the_living() -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3) - 6
    used = used_fraction(values, np.array([2.0, 4.0, 1.0]), np.array([[True, False], [False, True]]))
    np.testing.assert_allclose(used, [[3.0, 1.25, 4.0], [1.5, 1.0, 5.0]])


def test_figures_of_nothing_are_unknown() -> None:
    assert np.isnan(percentile(np.zeros(0)))
    assert np.isnan(mean_of_known(np.array([np.nan])))
    assert mean_of_known(np.array([np.nan, 3.0])) == 3.0


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True))
def test_rank_correlation_of_monotone_functions(values: list[float]) -> None:
    x = np.array(values)
    assert rank_correlation(x, np.argsort(np.argsort(x)).astype(float)) == pytest.approx(1.0)
    assert rank_correlation(x, -np.argsort(np.argsort(x)).astype(float)) == pytest.approx(-1.0)
    assert rank_correlation(x, np.ones(len(x))) == 0.0


def test_rank_correlation_with_ties_and_gaps() -> None:
    """By hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4 give 4.5 / sqrt(4.5 * 5)."""
    x = np.array([1.0, 2.0, 2.0, 3.0, np.nan])
    y = np.array([10.0, 20.0, 30.0, 40.0, 50.0])
    assert rank_correlation(x, y) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_draw_columns_name_what_differs() -> None:
    draws = {
        "friction": np.array([[0.5], [0.7]], np.float32),
        "base_com": np.array([[0, 1, 0], [0, 2, 0]], np.float32),
        "kp_factor": np.array([[1, 1, 1, 1], [2, 1, 1, 2]], np.float32),
        "gyro_noise": np.array([[0.1], [0.1]], np.float32),
    }
    columns = draw_columns(draws)
    assert list(columns) == ["friction", "base_com y", "kp_factor (mean)"]
    np.testing.assert_allclose(columns["kp_factor (mean)"], [1.0, 1.5])


def test_bars_go_to_the_metrics_that_they_name() -> None:
    limits = {metric.name: metric.limit for metric in with_limits(VELOCITY_TRACKING, tracking_error=0.2)}
    assert limits.pop("tracking error") == 0.2
    assert set(limits.values()) == {None}
    with pytest.raises(ValueError, match="no metric is called 'speed of light'"):
        with_limits(VELOCITY_TRACKING, speed_of_light=3e8)
