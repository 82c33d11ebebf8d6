"""`landbridge robot export` and `import`: files, what is printed, and one sentence for what cannot be."""

import sys
from pathlib import Path

import mujoco
import pytest
from pxr import Usd

from contract import robots
from landbridge import cli
from sim.formats.mjcf import to_mjcf
from sim.formats.urdf import to_urdf


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a folder for robots beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("LANDBRIDGE_ROBOTS", str(tmp_path / "robots"))
    return tmp_path


def error(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


@pytest.mark.parametrize(
    ("to", "file"), [("urdf", "unitree_go2.urdf"), ("usd", "unitree_go2.usd"), ("mjcf", "unitree_go2.xml")]
)
def test_export_writes_a_file_that_its_program_reads(
    here: Path, to: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["robot", "export", "unitree_go2", "--to", to]) == 0
    assert capsys.readouterr().out == f"wrote {file}\n"
    if to == "usd":
        assert Usd.Stage.Open(file).GetDefaultPrim().GetName() == "unitree_go2"
    else:
        # MuJoCo takes the root link of a URDF for the world.
        assert mujoco.MjModel.from_xml_path(file).njnt == (13 if to == "mjcf" else 12)


def test_export_writes_where_it_is_told(here: Path) -> None:
    assert cli.main(["robot", "export", "cartpole", "--to", "urdf", "--out", "a/b/c.urdf"]) == 0
    assert Path("a/b/c.urdf").read_text() == to_urdf(robots.load("cartpole"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["export", "unitree_go3", "--to", "urdf"], 2, "unknown robot 'unitree_go3'"),
        (["export", "unitree_go2", "--to", "usd", "--out", "go2.txt"], 2, "ends in .usd, .usdc or .usda"),
        (["import", "none.urdf", "--name", "mine"], 2, "none.urdf: there is no such file"),
        (["import", "none.urdf", "--name", "my-robot"], 2, "must be letters, digits and underscores"),
        (["import", "menagerie:unitree_go3", "--name", "mine"], 2, "did you mean 'unitree_go2'?"),
    ],
)
def test_what_cannot_be_gets_one_sentence(
    here: Path, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["robot", *arguments]) == code
    assert message in error(capsys)


def test_an_imported_robot_is_known_by_name_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("go2.urdf").write_text(to_urdf(robots.load("unitree_go2")))
    assert cli.main(["robot", "import", "go2.urdf", "--name", "my_go2"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("my_go2: 12 joints, 4 feet, base floating\n")
    for guess in ("standing height", "kp of all joints", "armature of all joints", "default pose"):
        assert guess in said
    assert "export LANDBRIDGE_ROBOTS" not in said
    assert cli.main(["list", "robots"]) == 0
    assert "my_go2" in capsys.readouterr().out
    assert cli.main(["robot", "export", "my_go2", "--to", "urdf"]) == 0


def test_import_says_how_a_robot_elsewhere_is_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("go2.xml").write_text(to_mjcf(robots.load("unitree_go2")))
    assert cli.main(["robot", "import", "go2.xml", "--name", "my_go2", "--out", "elsewhere", "--base", "fixed"]) == 0
    said = capsys.readouterr().out
    assert "base bolted to the world" in said
    assert f"export LANDBRIDGE_ROBOTS={here / 'work' / 'elsewhere'}" in said
    assert "my_go2" not in robots.names()


def test_import_needs_a_folder(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LANDBRIDGE_ROBOTS", "")
    assert cli.main(["robot", "import", "go2.urdf", "--name", "mine"]) == 2
    assert "--out is needed, since LANDBRIDGE_ROBOTS names no folder" in error(capsys)


def test_a_model_of_the_menagerie_is_imported_where_the_package_finds_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of the collection stands in for the network, as the package allows."""
    (here / "copy" / "unitree_go1").mkdir(parents=True)
    (here / "copy" / "unitree_go1" / "go1.xml").write_text(to_mjcf(robots.load("unitree_go2")))
    monkeypatch.setenv("MENAGERIE_ROOT", str(here / "copy"))
    assert cli.main(["robot", "import", "menagerie:unitree_go1", "--name", "go1"]) == 0
    assert robots.load("go1").num_joints == 12
    assert any("menagerie:unitree_go1" in source.where for source in robots.load("go1").sources)
    capsys.readouterr()
    assert cli.main(["robot", "import", "menagerie:unitree_a1", "--name", "a1"]) == 1
    assert "menagerie:unitree_a1: the package mujoco-menagerie cannot fetch it" in error(capsys)


def test_a_model_that_cannot_be_downloaded_gets_one_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(here / "cache"))
    monkeypatch.setenv("MENAGERIE_BASE_URL", (here / "nowhere").as_uri())
    assert cli.main(["robot", "import", "menagerie:unitree_go1", "--name", "go1"]) == 1
    assert "set MENAGERIE_ROOT to a copy" in error(capsys)


def test_without_the_package_the_sentence_names_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    assert cli.main(["robot", "import", "menagerie:unitree_go1", "--name", "go1"]) == 1
    assert "pip install mujoco-menagerie" in error(capsys)
