"""What a check says of the supervisor."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import fixed_pose_policy
import numpy as np
import pytest
from rich.console import Console

from contract.errors import BundleError
from domain_rand.spec import Randomisation
from policies import check_report
from policies.check_monitors import AFTER_FALL, RowTrips, SupervisorTrips
from policies.evaluation import Check, evaluate
from sim import tasks
from sim.tasks.task import CheckCommand

# Thighs so far back that it tips over forwards.
TIPPING = tuple((np.array(fixed_pose_policy.STANDING) + np.array([0.0, 0.9, 0.0] * 4)).tolist())


@pytest.fixture(autouse=True, scope="module")
def short_task() -> Iterator[None]:
    task = tasks.load("go2-velocity-flat")
    commands = (CheckCommand("stand", (0.0, 0.0, 0.0)),)
    check = replace(task.check, commands=commands, seconds=1.5, settle=0.5, episodes_per_command=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load", lambda _: replace(task, check=check))
        yield


def checked(path: Path) -> Check:
    return evaluate(path, randomisation=Randomisation(), threads=0)


def rows_of(check: Check) -> dict[str, RowTrips]:
    return {row.name: row for row in check.result.supervisor.rows}


def test_a_robot_that_stands_trips_nothing(tmp_path: Path) -> None:
    check = checked(fixed_pose_policy.write(tmp_path / "bundle"))
    found = check.result.supervisor
    assert found.robot_hours == pytest.approx(3 * 1.5 / 3600.0)
    assert not any(row.trips for row in found.rows)
    assert found.sentence() == "the supervisor, in 0.00 robot-hours: no trip"
    document = json.loads(json.dumps(check_report.to_json(check.result)))["supervisor"]
    assert {row["name"] for row in document["rows"]} == set(rows_of(check))
    assert document["rows"][0].keys() == {"name", "reaction", "trips", "per_hour"}
    assert document["not_judged"]["operator_stop"] == "stop_requests"
    page = StringIO()
    check_report.show(check.result, Console(file=page, width=80))
    assert found.sentence() in page.getvalue()


def test_the_thresholds_are_those_of_the_bundle(tmp_path: Path) -> None:
    check = checked(fixed_pose_policy.write(tmp_path / "bundle", monitors={"tilt": 0.0}))
    tilt = rows_of(check)["tilt"]
    assert tilt.trips >= 3
    assert tilt.reaction == "damp"
    assert tilt.per_hour == pytest.approx(tilt.trips / check.result.supervisor.robot_hours)
    with pytest.raises(BundleError, match=r"monitors\.tilt"):
        checked(fixed_pose_policy.write(tmp_path / "loose", monitors={"tilt": 3.0}))


def test_a_fall_is_seen_and_what_comes_long_after_it_is_not(tmp_path: Path) -> None:
    check = checked(fixed_pose_policy.write(tmp_path / "bundle", TIPPING))
    assert check.rollout.fell.all()
    assert any(row.trips for row in check.result.supervisor.rows)
    watched = np.minimum(check.metrics.duration + AFTER_FALL, 1.5).sum() / 3600.0
    assert check.result.supervisor.robot_hours == pytest.approx(watched, abs=3 * 0.021 / 3600.0)


def test_what_trips_most_is_named_first() -> None:
    rows = (RowTrips("tilt", "damp", 1, 2.0), RowTrips("power", "damp", 0, 0.0), RowTrips("slew", "clip", 5, 10.0))
    sentence = SupervisorTrips(0.5, rows, {}).sentence()
    assert sentence == "the supervisor, in 0.50 robot-hours: slew 10 an hour (clip), tilt 2 an hour (damp)"
