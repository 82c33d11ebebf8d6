"""Reaction times are read from logs as they should be, and a few trials with real processes come out as trials."""

import json
import math
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import reaction
from benchmarks.kept import Kept, until_done
from benchmarks.reaction import ReactionBenchmark, reaction_rows, reaction_time
from contract.errors import LandbridgeError

STRUCK = 50.0  # s
REACTED = 50.0625


def log(reacted: float = REACTED, kp: float = 26.0, kd: float = 1.0) -> dict[str, np.ndarray]:
    """Commands at 200 Hz with the policy's gains, and others from `reacted` on."""
    time = np.arange(49.0, 53.0, 0.005)
    return {"time": time, "kp": np.where(time < reacted, 25.0, kp), "kd": np.where(time < reacted, 0.5, kd)}


@pytest.mark.parametrize(("kp", "kd"), [(26.0, 0.5), (0.0, 2.0), (25.0, 0.525)])
def test_the_first_command_with_other_gains_is_the_reaction(kp: float, kd: float):
    assert reaction_time(log(kp=kp, kd=kd), STRUCK) == pytest.approx(0.065)


def test_rounding_is_no_reaction():
    assert reaction_time(log(kp=25.0001, kd=0.50001), STRUCK) == math.inf


def test_no_reaction_is_infinite_and_a_late_one_is_none_to_this_fault():
    assert reaction_time(log(reacted=60.0), STRUCK) == math.inf
    assert reaction_time(log(reacted=STRUCK + 1.5), STRUCK) == math.inf


def test_gains_that_change_already_make_no_trial():
    assert reaction_time(log(reacted=STRUCK - 0.05), STRUCK) is None
    assert reaction_time(log(reacted=0.0, kp=0.0), STRUCK) is None, "the robot is damped"
    assert reaction_time(log(), 40.0) is None, "nothing was commanded"


def test_rows_give_percentiles_against_the_limit():
    seconds = np.linspace(0.001, 0.1, 100)
    p50, p99 = reaction_rows("a fault", seconds, 0.06, np.array([1.0, 3.0]), 100)
    assert p50.what == "a fault, p50"
    assert (p50.other, p50.verdict) == (pytest.approx(60.0), "")
    assert p99.ours == pytest.approx(100.0)
    assert p99.verdict == "no"
    assert p99.note == "100 trials, 1 to 100 ms, 0 without a reaction, at a load of 1.0 to 3.0"
    assert [row.verdict for row in reaction_rows("b", 0.5 * seconds, 0.06, np.ones(1), 100)] == ["", "yes"]


def test_rows_say_how_many_trials_are_still_to_be_made():
    p50, _ = reaction_rows("a fault", np.full(65, 0.02), 0.06, np.ones(1), 100)
    assert p50.note.startswith("65 of 100 trials, ")


def test_one_fault_without_a_reaction_in_a_few_fails_the_aim():
    *_, p99 = reaction_rows("a fault", np.array([0.01] * 49 + [math.inf]), 0.06, np.ones(1), 50)
    assert p99.verdict == "no"
    assert "1 without a reaction" in p99.note


def test_without_ros_it_says_so(monkeypatch: pytest.MonkeyPatch):
    def absent() -> None:
        raise LandbridgeError("no ROS here")

    monkeypatch.setattr(reaction, "require_ros", absent)
    (row,) = ReactionBenchmark(kept=None).run()
    assert (row.verdict, row.note) == ("not measured", "no ROS here")


def test_an_unfinished_run_goes_on_and_a_finished_one_is_forgotten(tmp_path: Path):
    path = tmp_path / "kept" / "trials.json"
    with pytest.raises(KeyboardInterrupt), until_done(path) as kept:
        kept.of("a").append(1.5)
        kept.save()
        raise KeyboardInterrupt
    with until_done(path) as kept:
        assert kept.of("a") == [1.5]
    assert Kept(path).of("a") == []


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}'])
def test_kept_trials_that_are_damaged_are_refused(content: str, tmp_path: Path):
    path = tmp_path / "trials.json"
    path.write_text(content)
    with pytest.raises(LandbridgeError, match="delete it"):
        Kept(path)


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What trials are asked for, in stacks in which each fault is answered after 10 ms."""
    asked: list[list[str]] = []

    class Trials:
        def __init__(self, out: Path, seed: int) -> None:
            assert seed >= sum(map(len, asked)), "each stack has another robot"

        def run(self, order: list[str], show: Callable[[int], None]) -> list[tuple[str, float]]:
            show(len(order))
            asked.append(order)
            return [(fault, 0.01) for fault in order]

    monkeypatch.setattr(reaction, "require_ros", lambda: None)
    monkeypatch.setitem(sys.modules, "benchmarks.reaction_stack", types.SimpleNamespace(Trials=Trials))
    return asked


def test_faults_take_turns_and_what_was_kept_is_not_repeated(struck: list[list[str]], tmp_path: Path):
    kept = tmp_path / "trials.json"
    kept.write_text(json.dumps({"nan_target": [[0.05, 2.0]], "tilt": []}))
    rows = list(ReactionBenchmark(trials=2, faults=("nan_target", "tilt"), kept=kept).run())
    assert struck == [["nan_target", "tilt", "tilt"]]
    assert [row.what for row in rows][1:3] == ["NaN target, p99", "tilt (IMU turned by 1.5 rad), p50"]
    assert [row.ours for row in rows] == pytest.approx([50.0, 50.0, 10.0, 10.0])
    assert not kept.exists()


def test_a_sitting_ends_and_the_next_one_goes_on(struck: list[list[str]], tmp_path: Path):
    kept = tmp_path / "trials.json"
    short = ReactionBenchmark(trials=15, faults=("tilt",), sitting=0.0, kept=kept)
    (p50, _) = short.run()
    assert p50.note.startswith("10 of 15 trials"), "a sitting makes a few rounds at least"
    (p50, _) = short.run()
    assert p50.note.startswith("15 trials")
    assert [len(order) for order in struck] == [10, 5]
    assert not kept.exists()


@pytest.mark.real_time
def test_trials_with_real_processes():
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from benchmarks.reaction_stack import Trials

    shown: list[int] = []
    with tempfile.TemporaryDirectory() as out:  # the path of a socket must be short
        times = Trials(Path(out), seed=1).run(["nan_target", "tilt"], shown.append)
    assert [fault for fault, _ in times] == ["nan_target", "tilt"]
    assert all(0.0 < seconds < math.inf for _, seconds in times)
    assert shown == [1, 2]
