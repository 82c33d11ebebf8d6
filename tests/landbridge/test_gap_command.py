"""`landbridge gap`."""

import json
from pathlib import Path

import faulty_engine
import fixed_pose_policy
import pytest

from landbridge import cli
from sim import engines

SHORT = ["--seconds", "0.2", "--threads", "0"]


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return str(fixed_pose_policy.write(tmp_path / "standing"))


def test_prints_tables_and_writes_pictures(bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    code = cli.main(["gap", bundle, "--from", "mujoco_cpu", "--to", "mujoco_cpu", "--out", str(out), *SHORT])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "closed loop" in said and "open loop" in said
    assert "PASS  within the bars; mujoco_cpu (again) moves alike" in said
    assert said.endswith(f"pictures: {out}\n")
    assert json.loads((out / "gap.json").read_text())["passed"] is True
    assert (out / "signals.png").exists()


def test_fails_and_prints_json_where_the_contract_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(engines._MAKERS, "faulty", faulty_engine.with_borders(targets=faulty_engine.HIPS))
    monkeypatch.setitem(engines._MODULES, "faulty", ())
    monkeypatch.chdir(tmp_path)
    assert cli.main(["gap", "go2-velocity-flat", "--to", "faulty", "--json", *SHORT]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["first"], document["second"], document["cause"]) == ("mujoco_cpu", "faulty", "contract")
    assert document["findings"][0]["elements"] == ["FL_hip_joint", "FR_hip_joint"]
    (folder,) = (tmp_path / "runs").glob("gap-*")  # where it goes by default
    assert json.loads((folder / "gap.json").read_text()) == document


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["BUNDLE"], 2, "to"),
        (["BUNDLE", "--to", "mujoco_cqu"], 2, "mujoco_cpu"),
        (["BUNDLE", "--to", "mujoco_cpu", "--seconds", "0.01"], 2, "seconds: a leg of the course must last at least"),
        (["nowhere", "--to", "mujoco_cpu"], 2, "nowhere: no such bundle"),
        (["BUNDLE", "--to", "absent"], 1, "this command needs pybullet, which is not installed"),
    ],
    ids=["no engine", "unknown engine", "too short", "no bundle", "not installed"],
)
def test_refuses_in_one_sentence(
    arguments: list[str],
    code: int,
    says: str,
    bundle: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def missing(name: str) -> str | None:
        return "pybullet" if name == "absent" else known(name)

    known = engines.missing_module
    monkeypatch.setattr(engines, "missing_module", missing)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["gap", *(bundle if a == "BUNDLE" else a for a in arguments)]) == code
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()
