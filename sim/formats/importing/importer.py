"""From a user's file to a robot folder."""

import hashlib
import keyword
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract import own_robots, robots
from contract.errors import UsageError
from contract.robot import Robot, Source
from sim.engines.mujoco_model import build_model
from sim.formats.importing.complete import Completed, complete
from sim.formats.importing.found import Found, Guess
from sim.formats.importing.menagerie import PREFIX, fetch
from sim.formats.importing.mjcf_reader import read_mjcf
from sim.formats.importing.robot_code import to_robot_code
from sim.formats.importing.robot_xml import to_robot_xml
from sim.formats.importing.urdf_reader import read_urdf

ROBOT_XML = "robot.xml"
_PHYSICS_DT = 0.005  # s, of the model that is built to see that the robot can be
_READERS: dict[str, Callable[[Path], Found]] = {"mujoco": read_mjcf, "robot": read_urdf}  # by the root's name


@dataclass(frozen=True)
class Imported:
    """A robot that has been imported.

    Attributes:
        robot: as `contract.robots.load` gives it.
        folder: with `robot.xml` and `__init__.py`.
        guesses: what the file did not say, or what was replaced or left out.
    """

    robot: Robot
    folder: Path
    guesses: tuple[Guess, ...]


def import_robot(
    source: str, name: str, into: Path, *, fixed_base: bool | None = None, overwrite: bool = False
) -> Imported:
    """Make a robot folder from an MJCF or URDF file.

    Args:
        source: an MJCF or URDF file, or `menagerie:NAME` for a model of MuJoCo Menagerie.
        name: of the robot.
        into: where its folder is made.
        fixed_base: whether the base is bolted to the world; None for what the file says, or a guess.
        overwrite: replace the two files of a robot folder of that name.

    Raises:
        UsageError: the name is taken or none, the file is missing or cannot be a robot; one sentence says why.
    """
    _check_name(name, into, overwrite)
    path, origin = _located(source)
    completed = complete(_reader(path)(path), fixed_base)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sources = (
        Source("links, joints, shapes, and every figure not listed below", f"{origin}, SHA-256 {digest}"),
        *(Source(f"a guess: {guess.what}", f"{guess.value} ({guess.why})") for guess in completed.guesses),
    )
    folder = into / name
    _write(folder, completed, name, sources, origin)
    return Imported(own_robots.load(name, folder.absolute(), fresh=True), folder, completed.guesses)


def _check_name(name: str, into: Path, overwrite: bool) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"name '{name}': must be letters, digits and underscores, such as my_robot")
    if name in robots.shipped():
        raise UsageError(f"name '{name}': Landbridge has a robot of that name; choose another")
    folder = into / name
    if not folder.exists():
        return
    if not (folder / ROBOT_XML).is_file():
        raise UsageError(f"{folder}: exists, and is no robot's folder; choose another name")
    if not overwrite:
        raise UsageError(f"{folder}: exists already; choose another name, or give --overwrite to replace it")


def _located(source: str) -> tuple[Path, str]:
    """The file that `source` means, and what to call it."""
    if source.startswith(PREFIX):
        return fetch(source.removeprefix(PREFIX)), source
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"{source}: there is no such file")
    return path, path.name


def _reader(path: Path) -> Callable[[Path], Found]:
    try:
        root = ET.parse(path).getroot().tag
    except (ET.ParseError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not XML: {error}") from error
    if root not in _READERS:
        raise UsageError(f"{path}: is neither MJCF nor URDF: its root is <{root}>, not <mujoco> or <robot>")
    return _READERS[root]


def _write(folder: Path, made: Completed, name: str, sources: tuple[Source, ...], origin: str) -> None:
    """Write the folder's two files, once MuJoCo has built an engine's model from them."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        new = Path(work) / name
        new.mkdir()
        robot = Robot(
            name=name,
            title=name.replace("_", " ").capitalize(),
            mjcf=new / ROBOT_XML,
            base_body=made.tree.base.name,
            joints=made.joints,
            standing_height=made.standing_height,
            sources=sources,
            feet=made.feet,
            imu=made.imu,
            mirror=made.mirror,
            fixed_base=made.fixed_base,
        )
        note = f"Imported from {origin}. What the file did not say is guessed, and listed in `ROBOT.sources`."
        robot.mjcf.write_text(to_robot_xml(made.tree, f"The robot alone. {note}"), encoding="utf-8")
        (new / "__init__.py").write_text(to_robot_code(robot, f"{robot.title}. {note}"), encoding="utf-8")
        try:
            build_model(robot, _PHYSICS_DT)
        except ValueError as error:
            raise UsageError(f"{origin}: MuJoCo cannot build it: {' '.join(str(error).split())}") from error
        folder.mkdir(exist_ok=True)
        for file in new.iterdir():
            file.replace(folder / file.name)
