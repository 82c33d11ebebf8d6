"""A user's own robots, found by name in the user's folders."""

import os
from pathlib import Path

import pytest

from contract import own_robots, robots
from contract.errors import UsageError

ROBOT = """from pathlib import Path
from contract.robot import Joint, Robot, Source
ROBOT = Robot(
    name="{name}", title="{title}", mjcf=Path(__file__).parent / "robot.xml", base_body="base", standing_height=1.0,
    joints=(Joint("knee", lower=-1, upper=1, velocity_limit=1, effort_limit=1, default_pos=0, kp=1, kd=0),),
    sources=(Source("all", "made up"),),
)
"""


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LANDBRIDGE_ROBOTS", str(tmp_path))
    return tmp_path


def test_a_robot_in_the_folder_is_known_by_name(folder: Path) -> None:
    put(folder, "mine", ROBOT.format(name="mine", title="Mine"))
    assert robots.names() == sorted([*robots.shipped(), "mine"])
    assert robots.load("mine").title == "Mine"
    assert robots.load("mine").mjcf == folder / "mine" / "robot.xml"
    assert robots.load("mine") is robots.load("mine")


def test_the_first_of_several_folders_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("first", "second"):
        put(tmp_path / place, "mine", ROBOT.format(name="mine", title=place))
    monkeypatch.setenv("LANDBRIDGE_ROBOTS", os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "second")]))
    assert robots.load("mine").title == "second"
    monkeypatch.setenv("LANDBRIDGE_ROBOTS", os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")]))
    assert robots.load("mine").title == "first"


def test_without_the_variable_the_users_data_folder_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LANDBRIDGE_ROBOTS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    put(tmp_path / "landbridge" / "robots", "mine", ROBOT.format(name="mine", title="Mine"))
    assert own_robots.folders() == [tmp_path / "landbridge" / "robots"]
    assert robots.load("mine").title == "Mine"


def test_a_shipped_robot_cannot_be_replaced(folder: Path) -> None:
    put(folder, "unitree_go2", ROBOT.format(name="unitree_go2", title="Not it"))
    assert robots.load("unitree_go2").title == "Unitree Go2"


@pytest.mark.parametrize("asked", ["../mine", "./mine", "mine/", "folder/mine", "/mine"])
def test_a_path_is_no_name(folder: Path, asked: str) -> None:
    """A bundle names its robot: a path there must not run a file."""
    put(folder, "mine", "raise SystemExit('ran')")
    with pytest.raises(UsageError, match="unknown robot"):
        robots.load(asked)
    with pytest.raises(UsageError, match="unknown robot"):
        robots.load(str(folder / "mine"))


def test_a_folder_without_code_or_with_a_name_that_is_none_is_not_a_robot(folder: Path) -> None:
    (folder / "empty").mkdir()
    put(folder, "not-a-name", ROBOT.format(name="not-a-name", title=""))
    assert robots.names() == robots.shipped()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "fails with ZeroDivisionError: division by zero"),
        ("import no_such_module", "fails with ModuleNotFoundError: No module named 'no_such_module'"),
        ("ROBOT = 3", "must give ROBOT, a contract.robot.Robot"),
        ("", "must give ROBOT"),
        (ROBOT.format(name="other", title=""), "gives it the name 'other'"),
    ],
)
def test_a_broken_robot_gets_one_sentence(folder: Path, text: str, message: str) -> None:
    put(folder, "mine", text)
    with pytest.raises(UsageError, match=f"robot 'mine': .*__init__.py {message}"):
        robots.load("mine")
