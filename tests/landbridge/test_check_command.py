"""`landbridge check`: the gate over several engines, and what it refuses before anything runs."""

import json
import re
from dataclasses import replace
from pathlib import Path

import fixed_pose_policy
import pytest

from landbridge import cli
from policies import evaluation
from sim import engines, tasks
from sim.tasks.task import CheckCommand, Task

COMMANDS = (CheckCommand("stand", (0.0, 0.0, 0.0)), CheckCommand("walk", (0.8, 0.0, 0.0)))


@pytest.fixture(autouse=True)
def short_task(monkeypatch: pytest.MonkeyPatch) -> Task:
    """The task with a check of two commands and a second."""
    task = tasks.load("go2-velocity-flat")
    check = replace(task.check, commands=COMMANDS, seconds=1.0, settle=0.5, episodes_per_command=1)
    short = replace(task, check=check)
    monkeypatch.setattr(tasks, "load", lambda name: short)
    return short


@pytest.fixture
def standing(tmp_path: Path) -> Path:
    return fixed_pose_policy.write(tmp_path / "bundle")


def test_the_gate_asks_every_engine_and_saves_each(
    standing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gate"
    code = cli.main(["check", str(standing), "--engine", "mujoco_cpu, pybullet", "--threads", "0", "--out", str(out)])
    assert code == 1, "a policy that only stands fails"
    text = capsys.readouterr().out
    assert text.count("FAIL") == 2
    for engine in ("mujoco_cpu", "pybullet"):
        document = json.loads((out / engine / "check.json").read_text())
        assert document["engine"] == engine
        assert document["episodes"] == 2
        assert document["cells"][0]["scores"]["tracking error"] < 0.2, "it stands, in either physics"
        assert document["cells"][1]["scores"]["tracking error"] > 0.5
        assert document["not_randomised"] == []


def test_the_gate_is_passed_only_where_every_engine_passes(
    standing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = evaluation.evaluate

    def evaluate(bundle: Path, *, engine: str, **settings: object) -> evaluation.Check:
        check = real(bundle, engine="mujoco_cpu", **settings)  # type: ignore[arg-type]
        bars = tuple(
            replace(bar, value=bar.limit if engine == "mujoco_cpu" else bar.limit + 1.0) for bar in check.result.bars
        )
        return replace(check, result=replace(check.result, engine=engine, bars=bars))

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    arguments = ["check", str(standing), "--threads", "0", "--out", str(tmp_path / "out"), "--json", "--engine"]
    assert cli.main([*arguments, "mujoco_cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert cli.main([*arguments, "mujoco_cpu,pybullet"]) == 1
    assert [document["passed"] for document in json.loads(capsys.readouterr().out)] == [True, False]


@pytest.mark.parametrize(
    ("listed", "code", "sentence"),
    [
        ("", 2, "name each engine once"),
        ("mujoco_cpu,mujoco_cpu", 2, "name each engine once"),
        ("mujoco_cpu,bullet", 2, "unknown engine 'bullet'.*did you mean 'pybullet'"),
        ("mujoco_cpu,isaac_lab", 1, "needs isaaclab, which is not installed"),
    ],
)
def test_engines_that_cannot_run_are_named_before_anything_runs(
    listed: str,
    code: int,
    sentence: str,
    standing: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    installed = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "isaaclab" else installed(name))
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: pytest.fail("nothing may run"))
    assert cli.main(["check", str(standing), "--engine", listed]) == code
    said = capsys.readouterr().err
    assert re.search(sentence, said), said
    assert said.count("\n") == 1, "one sentence"


def test_a_device_that_an_engine_has_not_is_refused(standing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(standing), "--device", "cuda:0"]) == 2
    assert "engine mujoco_cpu runs on the processor alone" in capsys.readouterr().err
