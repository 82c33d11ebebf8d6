"""The benchmarks at sizes that mean nothing: they run, their ratios are numbers, and what they find is kept."""

import dataclasses
import json
import math
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import benchmarks.__main__ as program
from benchmarks import catalogue, learning, memory, results
from benchmarks.deploy import DeployBenchmark
from benchmarks.engine import EngineBenchmark, models_of, state_of
from benchmarks.envpool_peer import EnvPoolBenchmark
from benchmarks.footprint import footprint
from benchmarks.learning import LearningBenchmark
from benchmarks.memory import MemoryBenchmark
from benchmarks.raw_loop import RawLoop
from benchmarks.results import Aim, Result, Row
from benchmarks.scene import Targets, advance, make_env
from benchmarks.timing import Spread, rate_ratio, take_turns
from contract.errors import LandbridgeError, UsageError
from policies import recipes

ROW = Row("a to b", 1234.5, 2.5, "1/s", Spread(1.5, 1.4, 1.6), Aim(1.0), "a note")
UNMEASURED = Row("c to d", None, None, "1/s", None, Aim(2.0, at_least=False), "no c here")


def check_rows(rows: list[Row]) -> None:
    assert rows
    for row in rows:
        assert row.ratio is not None, row.note
        assert 0.0 < row.ratio.low <= row.ratio.median <= row.ratio.high < math.inf
        assert row.ours is not None
        assert row.other is not None


# -- each benchmark runs --------------------------------------------------------------------------------------------


def test_engine_and_environment_are_compared_with_the_raw_loop():
    rows = list(EngineBenchmark(num_envs=4, steps=2, rounds=2, threads=1).run())
    check_rows(rows)
    assert [row.aim and row.aim.limit for row in rows] == [0.90, 0.75]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_raw_loop_does_the_engines_work(threads: int):
    with closing(make_env(5, threads=0)) as env, RawLoop(models_of(env), threads) as raw:
        targets = Targets(env, steps=3)
        advance(env, targets.draw())
        raw.place(*state_of(env))
        block = targets.draw()
        for row in block:
            env.engine.step(row[:, None].expand(-1, env.engine.decimation, -1))
        raw.run(block.double().numpy(), env.engine.decimation)
        moved = np.abs(block[-1].numpy() - raw.joint_pos())
        assert np.abs(raw.joint_pos() - env.state.joint_pos.numpy()).max() < 1e-3  # float32 states, solver tolerance
        assert moved.max() > 0.05  # or there would be nothing to agree on


def test_envpool_is_compared_or_said_to_be_absent():
    rows = list(EnvPoolBenchmark(num_envs=2, steps=2, rounds=2, threads=1).run())
    if rows[0].ratio is None:
        assert rows[0].verdict == "not measured"
        assert "landbridge[benchmark]" in rows[0].note
    else:
        check_rows(rows)


def test_memory_and_speed_are_compared_over_sizes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "footprint", lambda size, threads: {2: 3_000_000, 4: 4_000_000}[size])
    rows = list(MemoryBenchmark(sizes=(2, 4), steps=1, rounds=2, threads=1).run())
    check_rows(rows)
    assert [row.unit for row in rows] == ["control steps/s", "1/GB"]
    assert rows[1].ours == pytest.approx(1000.0)
    assert rows[1].ratio is not None
    assert rows[1].ratio.median == pytest.approx(1.5)


def test_more_environments_leave_a_larger_footprint():
    assert footprint(300, threads=1) > 300 * 1e4  # 10 kB is less than a robot's model


def test_deployment_is_timed_while_the_policy_drives(tmp_path: Path):
    rows = list(DeployBenchmark(periods=20, runs=tmp_path).run())
    check_rows(rows[:4])
    assert rows[4].verdict == "not measured"
    assert "landbridge run" in rows[4].note


# -- learning: what is trained is kept ------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LearningBenchmark]:
    """A learning benchmark whose checks are told what to find."""

    def make(passes: list[bool], **changes: object) -> LearningBenchmark:
        verdicts = iter(passes)

        def evaluate(bundle: Path, episodes: int | None) -> object:
            bar = SimpleNamespace(name="falls", value=0.0, limit=1.0)
            return SimpleNamespace(result=SimpleNamespace(passed=next(verdicts), bars=(bar,)))

        monkeypatch.setattr(learning, "export_throwaway", lambda controller, recipe, path: path)
        monkeypatch.setattr(learning, "evaluate", evaluate)
        recipe = recipes.load("go2-velocity-flat")
        recipe = dataclasses.replace(
            recipe,
            num_envs=2,
            controller=dataclasses.replace(recipe.controller, hidden=(8,)),
            ppo=dataclasses.replace(recipe.ppo, rollout_steps=4, epochs=1, minibatches=1, critic_hidden=(8,)),
        )
        sizes = {"seeds": (1,), "budget": 48, "every": 16, "folder": tmp_path, "recipe": recipe}
        return LearningBenchmark(**{**sizes, **changes})  # type: ignore[arg-type]

    return make


def test_learning_counts_the_steps_to_the_first_check_that_holds(tiny: Callable[..., LearningBenchmark]):
    rows = list(tiny([False, True]).run())
    check_rows(rows)
    assert rows[0].ours == pytest.approx(32e-6)  # million steps: the second check


def test_learning_says_when_the_bar_was_not_reached(tiny: Callable[..., LearningBenchmark]):
    (row,) = tiny([False, False, False]).run()
    assert row.verdict == "not measured"
    assert "did not hold within the budget" in row.note


def test_learning_goes_on_where_it_was_interrupted(tiny: Callable[..., LearningBenchmark], tmp_path: Path):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    first = tiny([False], seeds=(1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LearningBenchmark, "_train_until", _after(1, interrupted))
        with pytest.raises(KeyboardInterrupt):
            list(first.run())
    rows = list(tiny([True, True], seeds=(1, 2)).run())  # one check of seed 1 is not repeated
    assert [row.ours for row in rows] == [pytest.approx(32e-6), pytest.approx(16e-6)]
    assert len(list(tmp_path.iterdir())) == 1  # the finished runs, out of the way of the next benchmark
    (row,) = tiny([True]).run()
    assert row.ours == pytest.approx(16e-6)


def _after(calls: int, then: Callable[..., None]) -> Callable[..., None]:
    """`_train_until`, but `then` after so many calls."""
    original, count = LearningBenchmark._train_until, iter(range(calls))

    def method(self: LearningBenchmark, *arguments: object) -> None:
        (original if next(count, None) is not None else then)(self, *arguments)

    return method


# -- timing and the page --------------------------------------------------------------------------------------------


def test_contestants_take_turns_in_both_directions():
    order: list[str] = []
    seconds = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, lambda: order.append("-"))
    assert "".join(order) == "-ab-ba-ab"  # the first round warms up
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 2, "b": 2}


def test_the_ratio_is_of_rates_and_by_round():
    ratio = rate_ratio(np.array([1.0, 10.0, 1.0]), np.array([2.0, 20.0, 4.0]))
    assert ratio == Spread(2.0, 2.0, 3.0)


@pytest.mark.parametrize(("at_least", "good", "bad"), [(True, 1.1, 0.9), (False, 0.9, 1.1)])
def test_an_aim_holds_on_its_side_only(at_least: bool, good: float, bad: float):
    aim = Aim(1.0, at_least)
    assert aim.holds(good)
    assert not aim.holds(bad)
    assert not aim.holds(math.nan)


def test_the_page_says_all_and_a_later_run_reads_it_back(tmp_path: Path):
    page = tmp_path / "docs" / "benchmarks.md"
    found = {"one": Result("One", "About one.", "a machine", "2026-01-02", (ROW, UNMEASURED))}
    results.write(page, found)
    assert results.read(results.data_file(page)) == found
    text = page.read_text()
    for part in ("## One", "About one.", "a machine", "1,234", "2.5", "1.5 (1.4 to 1.6)", "at least 1", "yes"):
        assert part in text
    for part in ("- a to b: a note", "- c to d: no c here", "at most 2", "not measured"):
        assert part in text


def test_damaged_results_are_refused_by_name(tmp_path: Path):
    path = tmp_path / "benchmarks.json"
    path.write_text('{"one": {"title": 3}}')
    with pytest.raises(LandbridgeError, match=r"benchmarks\.json"):
        results.read(path)


# -- the command ----------------------------------------------------------------------------------------------------


class OneRow:
    def run(self) -> list[Row]:
        return [ROW]


def test_the_command_keeps_results_of_what_it_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "page.md"
    monkeypatch.setattr(catalogue.Entry, "make", lambda self, quick: OneRow())
    assert program.main(["engine", "--out", str(page)]) == 0
    assert program.main(["memory", "--out", str(page)]) == 0
    assert set(json.loads(results.data_file(page).read_text())) == {"engine", "memory"}


def test_a_quick_look_leaves_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue.Entry, "make", lambda self, quick: OneRow())
    assert program.main(["--quick"]) == 0
    assert not list(tmp_path.iterdir())


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]):
    assert program.main(["engin"]) == UsageError.exit_code
    assert "did you mean 'engine'?" in capsys.readouterr().err


def test_learning_is_quick_only_when_named():
    assert "learning" not in catalogue.chosen((), quick=True)
    assert "learning" in catalogue.chosen((), quick=False)
    assert "learning" in catalogue.chosen(("learning",), quick=True)
