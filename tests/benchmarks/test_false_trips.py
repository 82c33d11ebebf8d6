"""A walk in simulated time is a walk, its trips are counted, and a broken robot does trip."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from benchmarks.false_trips import FalseTripsBenchmark, Walk, WalkingRobot, trip_row
from deploy_robot.decision import Mode
from hil_tests.robot_emulation import RobotEmulation


def test_trips_that_stop_are_counted_and_clips_are_told():
    walks = [
        Walk(60.0, [("tilt", "damp"), ("target_slew", "clip")], True),
        Walk(60.0, [("stale_state", "hold")], False),
    ]
    row = trip_row("somewhere", walks)
    assert (row.ours, row.other, row.verdict) == (2, 2.0, "no")
    assert row.note == "2 robots, 2.0 min, 1 fell; tripped: tilt 1, stale_state 1; clipped: target_slew 1"
    assert trip_row("somewhere", [Walk(60.0, [("target_slew", "clip")], False)]).verdict == "yes"


def test_a_robot_walks_in_simulated_time_and_trips_when_it_falls_silent(monkeypatch: pytest.MonkeyPatch):
    robot = WalkingRobot(seed=0)
    walk = robot.walk(2.0)
    assert walk.seconds == pytest.approx(2.0, abs=0.01)
    assert not walk.fallen
    assert robot.supervisor.mode is Mode.ACTIVE
    truth = robot._emulation.ground_truth()
    moved = np.linalg.norm(np.diff(truth["root_pos"][:, :2], axis=0), axis=1).sum()
    assert moved > 0.2, "it walks"
    assert robot.command.any()
    assert walk.trips == ()

    monkeypatch.setattr(RobotEmulation, "tick", lambda *_: [])
    robot._run(0.1)
    assert "stale_state" in [trip.constraint for trip in robot.trips]


def test_walks_are_kept_and_done_no_more_than_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = tmp_path / "walks.json"
    kept.write_text('{"simulated": [{"seconds": 60.0, "trips": [["tilt", "damp"]], "fallen": false}]}')
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: pytest.fail("nothing is left to do"))
    (row,) = FalseTripsBenchmark(episodes=1, sessions=0, kept=kept).run()
    assert (row.ours, row.other) == (1, 1.0)
    assert not kept.exists()
