"""Slew limiter and ramps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deploy_robot.motion import Ramp, SlewLimiter

SLEW = np.array([20.0, 5.0])
PERIOD = 0.02
LOWER, UPPER = np.array([-1.0, -2.0]), np.array([1.0, 0.5])

poses = hnp.arrays(np.float64, 2, elements=st.floats(-3.0, 3.0))
goals = hnp.arrays(np.float64, 2, elements=st.floats(allow_nan=True, allow_infinity=True))
steps = st.lists(st.tuples(goals, st.floats(0.0, 0.05)), min_size=1, max_size=20)


@given(poses, steps)
def test_no_goal_leaves_the_bounds_or_breaks_the_slew_limit(start: np.ndarray, plan: list) -> None:
    start = np.clip(start, LOWER, UPPER)
    limiter = SlewLimiter(SLEW, PERIOD)
    limiter.restart(start)
    times, positions = [0.0], [start]
    for goal, dt in plan:
        with np.errstate(invalid="ignore"):
            position = limiter.move(goal, dt, LOWER, UPPER)
        assert (position >= LOWER).all()
        assert (position <= UPPER).all()
        times.append(times[-1] + dt)
        positions.append(position)
    elapsed = np.abs(np.subtract.outer(times, times))[:, :, None]
    moved = np.abs(np.array(positions)[:, None] - np.array(positions)[None])
    assert (moved <= SLEW * (elapsed + PERIOD) + 1e-9).all()


@given(poses)
def test_motion_right_after_a_restart_has_nothing_saved_up(goal: np.ndarray) -> None:
    limiter = SlewLimiter(SLEW, PERIOD)
    limiter.restart(np.zeros(2))
    moved = limiter.move(goal, 0.005, LOWER, UPPER)
    assert (np.abs(moved) <= 0.005 * SLEW + 1e-12).all()


def test_a_jump_that_fits_a_control_period_passes_at_once_after_a_rest() -> None:
    limiter = SlewLimiter(SLEW, PERIOD)
    limiter.restart(np.zeros(2))
    for _ in range(4):
        limiter.move(np.zeros(2), 0.005, LOWER, UPPER)
    assert limiter.move(0.999 * SLEW * PERIOD, 0.0, LOWER, UPPER).tolist() == (0.999 * SLEW * PERIOD).tolist()
    assert limiter.move(UPPER, 0.0, LOWER, UPPER).tolist() == pytest.approx((SLEW * PERIOD).tolist())


def test_a_goal_in_reach_is_met_exactly() -> None:
    limiter = SlewLimiter(SLEW, PERIOD)
    limiter.restart(np.array([0.1, 0.2]))
    goal = np.array([0.3, 0.1])
    for _ in range(10):
        position = limiter.move(goal, PERIOD, LOWER, UPPER)
    assert position.tolist() == goal.tolist()


def test_a_joint_whose_goal_is_not_finite_stays_and_the_others_move() -> None:
    limiter = SlewLimiter(SLEW, PERIOD)
    limiter.restart(np.zeros(2))
    assert limiter.move(np.array([np.nan, 0.05]), PERIOD, LOWER, UPPER).tolist() == [0.0, 0.05]


def test_outside_the_bounds_it_returns_at_the_slew_limit() -> None:
    limiter = SlewLimiter(SLEW, PERIOD)
    limiter.restart(np.array([1.5, 0.0]))
    assert limiter.move(np.zeros(2), 0.005, LOWER, UPPER)[0] == pytest.approx(1.4)


@given(poses, poses, st.floats(0.5, 5.0))
def test_ramp_starts_and_ends_at_rest_and_keeps_its_top_speed(
    start: np.ndarray, goal: np.ndarray, top_speed: float
) -> None:
    ramp = Ramp.between(start, goal, top_speed)
    times = np.linspace(0.0, ramp.duration, 200)
    path = np.array([ramp.at(t) for t in times])
    speed = np.abs(np.diff(path, axis=0)) / times[1]
    assert path[0] == pytest.approx(start)
    assert (ramp.at(ramp.duration) == goal).all()
    assert (ramp.at(2.0 * ramp.duration) == goal).all()
    assert speed.max() <= top_speed * (1.0 + 1e-9)
    assert speed[[0, -1]].max() <= 0.03 * top_speed
    # Nobody turns back on the way.
    assert (np.diff(path, axis=0) * np.sign(goal - start) >= -1e-12).all()


def test_ramp_takes_as_long_as_its_longest_way_needs() -> None:
    assert Ramp.between(np.zeros(2), np.array([1.0, -2.0]), 1.0).duration == 3.0
    assert Ramp.between(np.zeros(2), np.zeros(2), 1.0).duration == 0.5
