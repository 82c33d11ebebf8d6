"""The check: a standing and a tipping policy judged in simulation, and what it leaves behind."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import fixed_pose_policy
import numpy as np
import pytest
from rich.console import Console

from contract.errors import BundleError, LandbridgeError, UsageError
from deploy_robot.onnx_policy import load_policy
from domain_rand.distributions import Uniform
from domain_rand.randomiser import EpisodeRandomiser
from domain_rand.spec import Randomisation, Term
from policies import check_plots, check_report, evaluation
from policies.check_rollout import roll_out
from policies.evaluation import HELD_OUT_WIDTH, Bar, Check, evaluate, training_randomisation
from policies.showcase import showcase
from sim import tasks
from sim.env import VecEnv
from sim.rendering import read_recording
from sim.tasks.task import CheckCommand, Task

TIPPING = tuple((np.array(fixed_pose_policy.STANDING) + np.array([0.0, 0.9, 0.0] * 4)).tolist())
COMMANDS = (
    CheckCommand("stand", (0.0, 0.0, 0.0)),
    CheckCommand("walk", (0.8, 0.0, 0.0)),
    CheckCommand("turn", (0.0, 0.0, 0.6)),
)
RANDOMISATION = Randomisation((Term("friction", Uniform(0.6, 1.0)), Term("payload_mass", Uniform(-0.5, 0.5))))


@pytest.fixture(autouse=True, scope="module")
def short_task() -> Iterator[Task]:
    """The task with a check of three commands and one and a half seconds."""
    task = tasks.load("go2-velocity-flat")
    short = replace(task, check=replace(task.check, commands=COMMANDS, seconds=1.5, settle=0.5, episodes_per_command=2))
    known = {short.name: short}

    def load(name: str) -> Task:
        if name not in known:
            raise UsageError(f"unknown task '{name}'")
        return known[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load", load)
        yield short


def check(bundle: Path, seed: int = 0) -> Check:
    return evaluate(bundle, randomisation=RANDOMISATION, seed=seed, threads=0)


@pytest.fixture(scope="module")
def standing_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixed_pose_policy.write(tmp_path_factory.mktemp("standing") / "bundle")


@pytest.fixture(scope="module")
def standing(standing_bundle: Path) -> Check:
    return check(standing_bundle)


@pytest.fixture(scope="module")
def tipping(tmp_path_factory: pytest.TempPathFactory) -> Check:
    return check(fixed_pose_policy.write(tmp_path_factory.mktemp("tipping") / "bundle", TIPPING))


def test_a_standing_robot_stands_and_fails_to_walk(standing: Check) -> None:
    result = standing.result
    stand, walk, turn = result.cells
    assert [cell.falls for cell in result.cells] == [0, 0, 0]
    assert [cell.episodes for cell in result.cells] == [2, 2, 2]
    assert stand.scores["tracking error"] < 0.1
    assert stand.scores["yaw rate error"] < 0.1
    assert walk.scores["tracking error"] == pytest.approx(0.8, abs=0.1)
    assert turn.scores["yaw rate error"] == pytest.approx(0.6, abs=0.1)
    assert np.isnan(walk.scores["cost of transport"])
    bars = {bar.name: bar for bar in result.bars}
    mean = np.mean([cell.scores["tracking error"] for cell in result.cells])
    assert bars["tracking error"].value == pytest.approx(mean)
    assert not bars["tracking error"].passed
    assert bars["falls"].passed
    assert 0.05 < bars["torque used"].value < 1.0
    assert not result.passed


def test_equal_seeds_give_equal_figures(standing: Check, standing_bundle: Path) -> None:
    again, other = (check(standing_bundle, seed) for seed in (0, 4))
    first, second = (json.dumps(check_report.to_json(replace(c.result, wall_time=0.0))) for c in (standing, again))
    assert first == second
    assert other.result.cells != standing.result.cells


def test_falls_are_counted_with_their_draw(tipping: Check) -> None:
    result = tipping.result
    assert len(result.falls) == sum(cell.falls for cell in result.cells) > 0
    assert not {bar.name: bar for bar in result.bars}["falls"].passed
    drawn = {name: values.numpy() for name, values in redraw(tipping).items()}
    for fall in result.falls:
        assert fall.cell == COMMANDS[fall.env // 2].name
        assert fall.command == COMMANDS[fall.env // 2].command
        assert 0.0 <= fall.time < 1.5
        assert set(fall.draw) == {"friction", "payload_mass"}
        for name, values in fall.draw.items():
            assert values == drawn[name][fall.env].tolist(), "seed and environment bring the same robot back"


def redraw(outcome: Check) -> dict:
    task = outcome.task
    randomiser = EpisodeRandomiser(RANDOMISATION.widened(HELD_OUT_WIDTH), outcome.result.seed + evaluation.SEED_OFFSET)
    env = VecEnv(task, outcome.result.episodes, randomiser=randomiser, seed=0, threads=0)
    everyone = np.arange(outcome.result.episodes)
    env.close()
    return randomiser.draw(everyone, np.ones_like(everyone))


def test_robots_are_stranger_than_in_training(standing: Check) -> None:
    friction = standing.rollout.draws["friction"]
    assert friction.min() >= 0.8 - HELD_OUT_WIDTH * 0.2 - 1e-6
    assert friction.max() <= 0.8 + HELD_OUT_WIDTH * 0.2 + 1e-6
    assert np.ptp(friction) > 0.0


def test_a_check_randomises_what_the_task_is_trained_with() -> None:
    parameters = {term.parameter for term in training_randomisation("go2-velocity-flat").terms}
    assert {"friction", "payload_mass", "motor_strength", "action_delay", "push_speed"} <= parameters
    with pytest.raises(LandbridgeError, match="no recipe trains task flying"):
        training_randomisation("flying")


@pytest.mark.parametrize("value", [float("nan"), 0.3, float("inf")])
def test_a_bar_that_does_not_hold(value: float) -> None:
    assert not Bar("x", "m/s", value, 0.2).passed


def test_a_bar_that_holds() -> None:
    assert Bar("x", "m/s", 0.2, 0.2).passed


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kp": (20.0,) * 12}, "kp"),
        ({"kd": (0.9,) * 12}, "kd"),
        ({"control_period": 0.01}, "control_period"),
        ({"task": "juggling"}, "task"),
    ],
)
def test_a_bundle_for_another_robot_or_task_is_refused(change: dict, named: str, tmp_path: Path) -> None:
    path = fixed_pose_policy.write(tmp_path / "bundle", **change)
    with pytest.raises(BundleError, match=f"contract.json: {named}"):
        evaluate(path, randomisation=RANDOMISATION, threads=0)


def test_a_signal_that_the_simulation_does_not_have_is_refused(tmp_path: Path, short_task: Task) -> None:
    accelerometer = replace(short_task.signals[1], name="accelerometer")
    path = fixed_pose_policy.write(tmp_path / "bundle", inputs=(*short_task.signals, accelerometer))
    with pytest.raises(BundleError, match="accelerometer"):
        evaluate(path, randomisation=RANDOMISATION, threads=0)


def test_at_least_one_episode(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="episodes"):
        evaluate(tmp_path, episodes=0)


def test_rollout_wants_episodes_that_end(standing_bundle: Path, short_task: Task) -> None:
    policy = load_policy(standing_bundle, batch=2)
    env = VecEnv(short_task, 2, threads=0)
    try:
        with pytest.raises(UsageError, match="auto_reset"):
            roll_out(policy, env, np.zeros((2, 3), np.float32), 1.0)
    finally:
        env.close()


def test_saved_check(tmp_path: Path, tipping: Check) -> None:
    path = check_report.save(tipping, tmp_path / "out" / "check")

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    document = json.loads(path.read_text(), parse_constant=refuse)
    assert document["passed"] is False
    assert document["digest"] == tipping.result.digest
    assert [bar["passed"] for bar in document["bars"]] == [bar.passed for bar in tipping.result.bars]
    assert len(document["cells"]) == 3
    for name in ("scores", "commands", "margins", "traces", "sensitivity"):
        assert (path.parent / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n")
    recordings = {p.name for p in (path.parent / "episodes").iterdir()}
    assert recordings == {"typical.npz", *(f"fall-{fall.env}.npz" for fall in tipping.result.falls)}
    fall = tipping.result.falls[0]
    robot, frames = read_recording(path.parent / "episodes" / f"fall-{fall.env}.npz")
    assert robot == "unitree_go2"
    np.testing.assert_array_equal(frames.root_pos[0], tipping.rollout.root_pos[0, fall.env])
    assert frames.time[-1] == pytest.approx(min(fall.time + 1.0, 1.5))


def test_a_check_that_cannot_be_saved_is_one_sentence(tmp_path: Path, standing: Check) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LandbridgeError, match="cannot write the check"):
        check_report.save(standing, tmp_path / "file")


def test_the_table_says_it_all(standing: Check) -> None:
    page = StringIO()
    check_report.show(standing.result, Console(file=page, width=80))
    text = page.getvalue()
    for word in ("stand", "walk", "turn", "tracking error", "FAIL", "pass"):
        assert word in text
    assert "…" not in text, "everything fits into 80 columns"
    assert "nan" not in text


def test_picture_of_a_check_without_randomisation(standing: Check) -> None:
    plain = replace(standing, rollout=replace(standing.rollout, draws={}))
    assert check_plots.sensitivity(plain).startswith(b"\x89PNG\r\n")


def test_example_is_of_the_fastest_command(standing: Check) -> None:
    assert check_plots.example(standing) in (2, 3)


def test_showcase(standing_bundle: Path) -> None:
    robot, frames = showcase(standing_bundle, (0.5, 0.0, 0.0), seconds=0.5)
    assert robot == "unitree_go2"
    assert len(frames) == 25
    assert "command +0.50, +0.00, +0.00" in frames.captions[0]
    with pytest.raises(UsageError, match="2 numbers"):
        showcase(standing_bundle, (0.5, 0.0), seconds=0.5)
    with pytest.raises(UsageError, match="seconds"):
        showcase(standing_bundle, (0.5, 0.0, 0.0), seconds=0.0)
