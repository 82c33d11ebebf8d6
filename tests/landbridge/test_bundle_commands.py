"""`landbridge inspect` and `landbridge verify`."""

import dataclasses
from pathlib import Path

import pytest
import toy_policy

from contract import robots
from contract.bundle import write_bundle, zip_bundle
from contract.errors import BundleError
from contract.robot import Robot
from landbridge.inspect import Inspect
from landbridge.verify import Verify


@pytest.fixture
def known_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Robot:
        assert name == "toy"
        return toy_policy.ROBOT

    monkeypatch.setattr(robots, "load", load)


@pytest.mark.usefixtures("known_toy")
def test_verify_prints_a_line_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = toy_policy.write(tmp_path / "toy")
    for form in (path, zip_bundle(path)):
        assert Verify(form).run() == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[:2] for line in lines] == [
            ["ok", name] for name in ("signature", "files", "schema", "robot", "graph", "golden")
        ]


@pytest.mark.usefixtures("known_toy")
def test_verify_stops_at_the_first_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = toy_policy.write(tmp_path / "toy", toy_policy.ToyParameters(gyro_scale=0.2))
    assert Verify(path).run() == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines][-2:] == [["ok", "graph"], ["FAIL", "golden"]]
    (path / "card.md").write_text("a better story")
    assert Verify(path).run() == 1
    assert "\nFAIL  files     card.md: changed since the bundle was written" in capsys.readouterr().out


def test_inspect_shows_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Inspect(toy_policy.write(tmp_path / "toy")).run() == 0
    shown = capsys.readouterr().out
    for expected in (
        "toy-task",
        "20 ms (50 Hz)",
        "joint_target",
        "rad/s",
        "imu",
        "right_joint",
        "command vx",
        "-1 to 1",
        "low 0.4, high 1.25",
        "99.9 %",
        "landbridge train toy",
        "wall_time_s",
        "plots/tracking.png",
        "0 to 5 ms",
    ):
        assert expected in shown


def test_inspect_prints_text_and_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy = toy_policy.contract()
    contract = dataclasses.replace(toy, provenance=dataclasses.replace(toy.provenance, command="[red]go[/red]"))
    path = write_bundle(tmp_path / "toy", contract, b"graph", toy_policy.reference(), "card", {})
    Inspect(path).run()
    assert "[red]go[/red]" in capsys.readouterr().out


def test_inspect_refuses_a_changed_bundle(tmp_path: Path) -> None:
    path = toy_policy.write(tmp_path / "toy")
    (path / "contract.json").write_bytes((path / "contract.json").read_bytes().replace(b"25.0", b"26.0"))
    with pytest.raises(BundleError, match=r"^contract\.json: changed since"):
        Inspect(path).run()
