"""Calibrated thresholds keep what they promise, and nothing is ever loosened."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fixed_pose_policy
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract.bundle import read_bundle, sign_bundle
from contract.errors import BundleError, LandbridgeError, UsageError
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.onnx_policy import load_policy
from deploy_robot.thresholds import thresholds_of
from policies import calibration
from policies.calibration import TIGHTEST, Calibration, calibrate
from policies.calibration_rollout import record
from policies.calibration_statistics import (
    CONFIDENCE,
    block_maxima,
    blocks_needed,
    choose,
    rate_bound,
    trips_permitted,
)
from sim import tasks
from sim.env import VecEnv
from sim.episode import StepResult
from sim.tasks.task import Task

# -- statistics ---------------------------------------------------------------------------------------------------


def test_what_lasts_for_long_enough_counts() -> None:
    figures = np.array([[1.0, 0.0], [5.0, 0.0], [3.0, np.nan], [4.0, 2.0], [0.0, 1.0], [9.0, 0.0]])
    everything = np.ones(figures.shape, bool)
    assert block_maxima(figures, everything, 1).tolist() == [9.0, math.inf]
    assert block_maxima(figures, everything, 3).tolist() == [3.0, 1.0]
    later = everything.copy()
    later[1] = False
    assert block_maxima(figures, later, 3).tolist() == [0.0, 1.0]
    assert block_maxima(figures, everything, 7).tolist() == [-math.inf, -math.inf]


@given(trips=st.integers(0, 6), more=st.integers(1, 300), hours=st.floats(1e-3, 1.0))
def test_bounds_and_permissions_agree(trips: int, more: int, hours: float) -> None:
    blocks = trips + more
    bound = rate_bound(trips, blocks, hours)
    assert bound > -math.log1p(-trips / blocks) / hours, "above the plain estimate"
    assert trips_permitted(1.001 * bound, blocks, hours) >= trips
    assert trips_permitted(0.999 * bound, blocks, hours) < trips


def test_the_rule_of_three() -> None:
    needed = math.ceil(blocks_needed(1.0, 0.01))
    assert needed == pytest.approx(300, abs=1)
    assert trips_permitted(1.0, needed, 0.01) == 0
    assert trips_permitted(1.0, needed - 2, 0.01) == -1
    assert rate_bound(0, needed, 0.01) == pytest.approx(1.0, rel=0.01)
    assert rate_bound(5, 5, 0.01) == math.inf


def figures_of_blocks(rng: np.random.Generator, blocks: int) -> np.ndarray:
    """(3, blocks) largest figures of rows that scatter differently, two of which go together."""
    shared = rng.exponential(size=blocks)
    heavy = rng.pareto(3.0, size=blocks)
    return np.stack([2.0 + shared, 10.0 + 0.1 * shared + 0.2 * rng.normal(size=blocks), 0.3 * heavy])


def test_the_promise_holds_on_fresh_robots_as_often_as_stated() -> None:
    """The true rate is above what was asked in one of twenty calibrations at most, whatever the figures are like."""
    rng = np.random.default_rng(11)
    hours, asked, blocks = 0.01, 2.0, 350
    permitted = trips_permitted(asked, blocks, hours)
    assert permitted >= 1
    fresh = figures_of_blocks(rng, 40_000)
    repeats, broken, rates = 300, 0, []
    for _ in range(repeats):
        choice = choose(
            figures_of_blocks(rng, 100),
            figures_of_blocks(rng, blocks),
            np.zeros(3),
            np.full(3, 1e6),
            permitted,
        )
        assert choice.promised.all()
        share = (fresh > choice.values[:, None]).any(axis=0).mean()
        rates.append(-math.log1p(-share) / hours)
        broken += rates[-1] > asked
    expected = (1.0 - CONFIDENCE) * repeats
    assert broken <= expected + 4.0 * math.sqrt(expected)
    assert np.median(rates) > 0.1 * asked, "and the thresholds are not needlessly loose"


def test_a_row_that_cannot_be_kept_stays_and_costs_the_others_nothing() -> None:
    rng = np.random.default_rng(2)
    blocks = figures_of_blocks(rng, 200)
    loud = np.concatenate([blocks, [100.0 + blocks[0]]])
    free = choose(blocks[:, :50], blocks[:, 50:], np.zeros(3), np.full(3, 50.0), 1)
    choice = choose(loud[:, :50], loud[:, 50:], np.zeros(4), np.full(4, 50.0), 1)
    assert choice.promised.tolist() == [True, True, True, False]
    assert choice.values.tolist() == [*free.values.tolist(), 50.0]


def test_what_is_none_in_too_many_blocks_keeps_its_threshold() -> None:
    blocks = figures_of_blocks(np.random.default_rng(2), 200)
    blocks[1, ::20] = math.inf
    choice = choose(blocks[:, :50], blocks[:, 50:], np.zeros(3), np.full(3, 60.0), 1)
    assert choice.promised.tolist() == [True, False, True]
    assert choice.values[1] == 60.0


def test_what_stays_below_its_floor_costs_the_others_nothing() -> None:
    """A row that cannot trip must not make the level higher; neither must one that nothing can tighten."""
    blocks = figures_of_blocks(np.random.default_rng(2), 200)
    calm = np.concatenate([blocks, [blocks[2] - 90.0], np.zeros((1, 200))])
    free = choose(blocks[:, :50], blocks[:, 50:], np.zeros(3), np.full(3, 50.0), 1)
    choice = choose(calm[:, :50], calm[:, 50:], np.array([0.0] * 3 + [5.0, 0.0]), np.array([50.0] * 4 + [0.0]), 1)
    assert choice.promised.all()
    assert choice.values.tolist() == [*free.values.tolist(), 5.0, 0.0]


def test_a_row_that_nothing_can_tighten_is_promised_unless_it_trips_too_often() -> None:
    blocks = np.concatenate([figures_of_blocks(np.random.default_rng(2), 200), np.zeros((1, 200))])
    blocks[3, ::20] = 1.0
    choice = choose(blocks[:, :50], blocks[:, 50:], np.zeros(4), np.array([60.0] * 3 + [0.0]), 1)
    assert choice.promised.tolist() == [True, True, True, False]
    assert choice.values[3] == 0.0


def test_robots_that_never_lasted_leave_no_number_that_is_none() -> None:
    blocks = figures_of_blocks(np.random.default_rng(2), 200)
    blocks[1, ::2] = blocks[1, :40] = -math.inf
    choice = choose(blocks[:, :50], blocks[:, 50:], np.zeros(3), np.full(3, 50.0), 1)
    assert np.isfinite(choice.values).all()
    assert (blocks[:, 50:] > choice.values[:, None]).any(axis=0).sum() <= 1


@given(
    seed=st.integers(0, 2**31),
    ceilings=st.lists(st.floats(0.01, 20.0), min_size=3, max_size=3),
    permitted=st.integers(0, 5),
)
def test_nothing_is_ever_loosened(seed: int, ceilings: list[float], permitted: int) -> None:
    blocks = figures_of_blocks(np.random.default_rng(seed), 60)
    most = np.array(ceilings)
    choice = choose(blocks[:, :20], blocks[:, 20:], TIGHTEST * most, most, permitted)
    assert (choice.values <= most).all()
    assert (choice.values >= TIGHTEST * most).all()
    tripping = (blocks[:, 20:] > choice.values[:, None])[choice.promised]
    assert tripping.any(axis=0).sum() <= permitted


# -- a bundle -----------------------------------------------------------------------------------------------------

ASKED = 1500.0  # 1/h: episodes of a test are short
SETTLE, SECONDS = 0.5, 1.5
ROBOTS = 16


@pytest.fixture(autouse=True, scope="module")
def short_task() -> Iterator[Task]:
    task = tasks.load("go2-velocity-flat").with_episode(SECONDS)
    short = replace(task, check=replace(task.check, settle=SETTLE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load", lambda _: short)
        yield short


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed, and with one threshold that somebody has tightened by hand."""
    from signing_keys import AUTHOR

    path = fixed_pose_policy.write(tmp_path_factory.mktemp("standing") / "bundle", monitors={"tilt": 0.9})
    sign_bundle(read_bundle(path), AUTHOR)
    return path


@pytest.fixture(scope="module")
def calibrated(standing: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Calibration, Path]:
    out = tmp_path_factory.mktemp("calibrated") / "bundle"
    return calibrate(standing, out, false_trips_per_hour=ASKED, robots=ROBOTS, threads=0), out


def test_the_new_bundle_is_tighter_and_whole(calibrated: tuple[Calibration, Path], standing: Path) -> None:
    result, out = calibrated
    old, new = read_bundle(standing), read_bundle(out)
    assert load_policy(out).replay_golden() <= 1e-5
    assert new.onnx == old.onnx
    assert replace(new.contract, monitors={}) == replace(old.contract, monitors={})
    before, after = thresholds_of(CONSTRAINTS, old.contract), thresholds_of(CONSTRAINTS, new.contract)
    for row in CONSTRAINTS:
        assert after[row.name].value <= before[row.name].value
    assert after["tilt"].value < 0.9
    assert after["tilt"].value >= TIGHTEST * 1.0
    for row in result.rows:
        assert after[row.name].value == pytest.approx(row.new)
        assert row.old == before[row.name].value
    assert "false trips an hour" in new.card


def test_what_is_promised_was_measured(calibrated: tuple[Calibration, Path]) -> None:
    result, _ = calibrated
    assert result.per_hour <= result.bound <= ASKED
    assert result.falls == 0
    hours = result.robot_hours
    assert 0.75 * hours <= result.blocks * (SECONDS - SETTLE) / 3600.0 <= 0.8 * hours, "all but the pilot"
    rows = {row.name: row for row in result.rows}
    assert rows["tilt"].promised
    assert 0.0 < rows["tilt"].margin < 1.0
    assert rows["finite_state"].new == rows["finite_state"].old == 0.0
    assert "operator_stop" in result.not_judged
    assert not set(result.not_judged) & set(rows)


def test_the_promise_holds_on_fresh_seeds(calibrated: tuple[Calibration, Path]) -> None:
    _, out = calibrated
    bundle = read_bundle(out)
    limits = thresholds_of(CONSTRAINTS, bundle.contract)
    fresh = record(bundle, rounds=2, robots=24, seed=77, threads=0)
    limit = np.array([limits[row.name].value for row in fresh.rows])
    tripped = int((fresh.maxima > limit[:, None]).any(axis=0).sum())
    blocks = fresh.maxima.shape[1]
    # With so many blocks, as many as this would be seen by chance in one of ten thousand runs.
    probability = -math.expm1(-ASKED * (SECONDS - SETTLE) / 3600.0)
    assert tripped <= blocks * probability + 4.0 * math.sqrt(blocks * probability * (1.0 - probability))


def test_calibrating_again_loosens_nothing(calibrated: tuple[Calibration, Path], tmp_path: Path) -> None:
    _, once = calibrated
    again = calibrate(once, tmp_path / "again", false_trips_per_hour=0.9 * ASKED, robots=ROBOTS, seed=5, threads=0)
    for row in again.rows:
        assert row.new <= row.old
    assert read_bundle(tmp_path / "again").card.count("## Monitors") == 1


def test_a_signature_is_of_the_old_bundle_alone(calibrated: tuple[Calibration, Path], standing: Path) -> None:
    result, out = calibrated
    assert result.was_signed
    assert "signature.json" in read_bundle(standing).files
    assert "signature.json" not in read_bundle(out).files


def test_a_robot_that_falls_is_not_held_against_the_thresholds(
    tmp_path: Path, standing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = VecEnv.step

    def step(env: VecEnv, target: torch.Tensor) -> StepResult:
        result = real(env, target)
        if abs(env.clock[0] - 1.6) < 0.01:
            result.terminated[:2] = True
        return result

    monkeypatch.setattr(VecEnv, "step", step)
    longer = tasks.load("go2-velocity-flat").with_episode(2.0)
    monkeypatch.setattr(tasks, "load", lambda _: longer)
    blocks = record(read_bundle(standing), rounds=1, robots=3, threads=0)
    assert blocks.falls == 2
    # Settled after half a second, and judged until one second before the fall.
    assert 3600.0 * blocks.hours == pytest.approx([0.08, 0.08, 1.5])
    pose = tuple((np.array(fixed_pose_policy.STANDING) + np.array([0.0, 0.9, 0.0] * 4)).tolist())
    with pytest.raises(LandbridgeError, match="every robot fell"):
        record(read_bundle(fixed_pose_policy.write(tmp_path / "b", pose)), rounds=1, robots=2, threads=0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"false_trips_per_hour": 0.0}, "--false-trips-per-hour: must be above 0"),
        ({"false_trips_per_hour": -1.0}, "--false-trips-per-hour: must be above 0"),
        ({"false_trips_per_hour": math.nan}, "--false-trips-per-hour: must be above 0"),
        ({"false_trips_per_hour": math.inf}, "--false-trips-per-hour: must be above 0"),
        ({"false_trips_per_hour": 1e-3}, r"--false-trips-per-hour 0\.001: .* minutes of robot time: give --minutes"),
        ({"false_trips_per_hour": 5e-324}, r"--false-trips-per-hour .* minutes of robot time: give --minutes"),
        ({"minutes": math.nan}, "--minutes: must be above 0"),
        ({"minutes": -5.0}, "--minutes: must be above 0"),
        ({"minutes": 0.1}, r"--minutes 0\.1: to promise 30 false trips an hour with 95% confidence takes \d+ minutes"),
    ],
)
def test_what_cannot_be_promised_is_refused(changes: dict, sentence: str, standing: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        calibrate(standing, tmp_path / "out", **{"false_trips_per_hour": 30.0, "robots": 8, **changes})
    assert not (tmp_path / "out").exists()


def test_the_bundle_itself_is_not_overwritten_nor_what_is_none(standing: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the bundle itself"):
        calibrate(standing, standing, false_trips_per_hour=ASKED)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="is not a bundle"):
        calibrate(standing, tmp_path, false_trips_per_hour=ASKED)


def test_a_bundle_for_another_robot_is_refused(tmp_path: Path) -> None:
    path = fixed_pose_policy.write(tmp_path / "bundle", kp=(20.0,) * 12)
    with pytest.raises(BundleError, match="contract.json: kp"):
        calibrate(path, tmp_path / "out", false_trips_per_hour=ASKED, robots=2, threads=0)


# -- the command --------------------------------------------------------------------------------------------------


def test_the_command_prints_what_changed(
    standing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from landbridge import cli

    monkeypatch.setattr(calibration, "ROBOTS", ROBOTS)
    arguments = ["calibrate", str(standing), "--false-trips-per-hour", str(ASKED), "--threads", "0", "--out"]
    assert cli.main([*arguments, str(tmp_path / "a")]) == 0
    text = capsys.readouterr().out
    for word in (
        "tilt",
        "target_slew",
        "old",
        "new",
        "margin",
        "not judged in simulation: operator_stop",
        f"sign {tmp_path / 'a'}",
        "new bundle",
    ):
        assert word in text
    assert cli.main(["verify", str(tmp_path / "a")]) == 0
    capsys.readouterr()
    assert cli.main([*arguments, str(tmp_path / "b"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["asked"] == ASKED
    assert {row["name"] for row in document["rows"]} >= {"tilt", "target_slew"}
    assert read_bundle(tmp_path / "a").contract.monitors == read_bundle(tmp_path / "b").contract.monitors
    assert cli.main(["calibrate", str(standing), "--false-trips-per-hour", "-1"]) == 2
    assert "must be above 0" in capsys.readouterr().err
