"""`landbridge monitors`, and the table in docs/safety.md that comes from the same source."""

import dataclasses
import runpy
from pathlib import Path

import pytest
import toy_policy

from contract import robots
from contract.bundle import write_bundle
from contract.errors import BundleError, UsageError
from contract.robot import Robot
from deploy_robot.constraint import Constraint, Reaction
from deploy_robot.constraint_table import markdown
from deploy_robot.constraints import CONSTRAINTS
from landbridge.monitors import Monitors

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def known_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Robot:
        assert name == "toy"
        return toy_policy.ROBOT

    monkeypatch.setattr(robots, "load", load)


def write(path: Path, **changes: object) -> Path:
    contract = dataclasses.replace(toy_policy.contract(), **changes)
    onnx = toy_policy.graph().SerializeToString()
    return write_bundle(path, contract, onnx, toy_policy.reference(), toy_policy.CARD, {})


def line_of(name: str, shown: str) -> str:
    (line,) = [line for line in shown.splitlines() if line.startswith(f" {name} ")]  # cells may go on in further lines
    return line


def test_every_constraint_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert Monitors().run() == 0
    shown = capsys.readouterr().out
    for row in CONSTRAINTS:
        line = line_of(row.name, shown)
        assert f" {row.reaction.name.lower()} " in line
        assert f"{row.basis}, default " in line if row.basis else " default " in line
    assert "joint_lower" not in shown


def test_joint_limits_of_a_robot(capsys: pytest.CaptureFixture[str]) -> None:
    assert Monitors(robot="unitree_go2").run() == 0
    assert line_of("FL_calf_joint", capsys.readouterr().out).split()[1:5] == ["-2.723", "-0.8378", "20.07", "35.55"]


def test_what_a_robot_s_facts_cannot_judge_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert Monitors(robot="unitree_go2").run() == 0
    shown = capsys.readouterr().out
    assert " never here " in line_of("workspace", shown)
    assert " never here " in line_of("training_envelope", shown), "there is no bundle"
    assert " always " in line_of("motor_temperature", shown)
    assert " motor temperatures," in line_of("motor_temperature", shown)
    assert " robot, default " in line_of("power", shown.partition("\n robot ")[0])
    assert line_of("power", shown.partition("\n robot ")[2]).split() == ["power", "3000", "W"]
    assert Monitors(robot="cartpole").run() == 0
    shown = capsys.readouterr().out
    assert " never here " in line_of("self_collision", shown)
    assert "not known" in shown


def test_unknown_robot() -> None:
    with pytest.raises(UsageError, match="unitree_go2"):
        Monitors(robot="unitree_go3").run()


@pytest.mark.usefixtures("known_toy")
def test_what_a_bundle_tightens_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "toy", monitors={"tilt": 0.5}, velocity_limit=(15.0, 20.0), control_period=0.01)
    assert Monitors(path).run() == 0
    shown = capsys.readouterr().out
    assert " 0.5 rad " in line_of("tilt", shown)
    assert " bundle " in line_of("tilt", shown)
    assert " 0.03 s " in line_of("lost_policy", shown)
    assert line_of("left_joint", shown).split()[1:6] == ["-1", "1.5", "15", "bundle", "10"]
    assert "bundle" not in line_of("right_joint", shown)


@pytest.mark.usefixtures("known_toy")
def test_a_bundle_that_loosens_a_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="monitors.tilt"):
        Monitors(write(tmp_path / "threshold", monitors={"tilt": 1.5})).run()
    with pytest.raises(BundleError, match="effort_limit"):
        Monitors(write(tmp_path / "joint", effort_limit=(11.0, 10.0))).run()


def test_documentation_has_the_table_of_today() -> None:
    page = (DOCS / "safety.md").read_text()
    assert page == runpy.run_path(str(DOCS / "safety_table.py"))["with_table"](page), "run `make docs`"
    assert markdown(CONSTRAINTS) in page


def test_documentation_would_show_a_new_row() -> None:
    row = Constraint("new", "New.", lambda r: 0.0, 1.0, "m", Reaction.HOLD, 0.1, 0.0)
    last = markdown((*CONSTRAINTS, row)).splitlines()[-1]
    assert last == (
        "| `new` | New. | 1 m | default | always |  | 0.1 s | hold | by itself |"
        " `test_constraints.py::test_a_violation_trips[new]` |"
    )
