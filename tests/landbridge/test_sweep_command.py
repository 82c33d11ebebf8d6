"""`landbridge sweep`."""

import json
import re
import sys
from pathlib import Path

import balancing_policy
import pytest

from contract.bundle import read_bundle
from landbridge import cli

FEW = ["--levels", "1", "--reach", "10", "--repeats", "2", "--trajectories", "2", "--joint-repeats", "1"]
FEW += ["--threads", "0"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_prints_margins_and_writes_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert cli.main(["sweep", "cartpole", *FEW, "--write-card", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert re.match(r"parameter +trained +below: fails at +margin +above: fails at +margin", lines[0])
    assert re.search(r"^motor_strength +0\.9 \.\. 1\.1 +[\d.]+ +[\d.]+ \([\d.]+ - [>\d.]+\) ", said, re.MULTILINE)
    assert re.search(r"^action_delay +0 \.\. 0\.01 s +(holds to |\d)", said, re.MULTILINE)
    assert re.search(r"^\(chance\) +\d", said, re.MULTILINE)
    assert "left out: joint_pos_noise: training always has it at 0.002, which is no range to go beyond" in said
    assert "A success: no fall, and cart error at most" in said
    assert "episodes succeed with all parameters as in training." in said
    assert lines[-2:] == [f"bundle with the margins in its card: {out / 'bundle'}", f"pictures: {out}"]
    assert sorted(path.name for path in out.iterdir()) == ["bundle", "joint.png", "sweep.json", "sweep.png"]
    assert "## Margins" in read_bundle(out / "bundle").card


def test_prints_json_for_the_ranges_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = balancing_policy.write(tmp_path / "balancing")
    ranges = tmp_path / "ranges.json"
    term = {"kind": "uniform", "low": 0.8, "high": 1.2}
    ranges.write_text(json.dumps({"schema_version": 1, "terms": {"kp_factor": term, "motor_strength": term}}))
    arguments = ["--parameters", "motor_strength,kp_factor", "--randomisation", str(ranges), "--trajectories", "0"]
    assert cli.main(["sweep", str(bundle), *FEW, *arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {one["parameter"] for one in document["parameters"]} == {"motor_strength", "kp_factor"}
    assert all((one["low"], one["high"]) == (0.8, 1.2) for one in document["parameters"])
    assert document["joint"] is None
    (folder,) = (tmp_path / "runs").glob("sweep-*")  # where it goes by default
    assert json.loads((folder / "sweep.json").read_text()) == document


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere"], 2, "nowhere: no such bundle"),
        (["cartpole", "--parameters", "gravity"], 2, "unknown randomised parameter 'gravity'"),
        (["cartpole", "--parameters", "joint_vel_noise"], 2, "joint_vel_noise cannot be varied"),
        (["cartpole", "--repeats", "0"], 2, "repeats: must be at least 1, got 0"),
        (["cartpole", "--share", "0"], 2, "share: must be above 0 and at most 1"),
        (["cartpole", "--others", "odd"], 2, "others"),
        (["cartpole", "--engine", "mujoco_cqu"], 2, "mujoco_cpu"),
        (["cartpole", "--randomisation", "nothing.json"], 2, "nothing.json: cannot be read"),
    ],
)
def test_refuses_in_one_sentence(
    arguments: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sweep", *arguments]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def test_without_salib_it_says_how_to_get_it_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from policies.sweep import run

    monkeypatch.setitem(sys.modules, "SALib.sample", None)
    monkeypatch.setattr(run, "_play", lambda *_: pytest.fail("nothing may run"))
    assert cli.main(["sweep", "cartpole"]) == 1
    assert "needs SALib.sample, which is not installed: pip install 'landbridge[train]'" in capsys.readouterr().err
