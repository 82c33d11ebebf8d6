"""A user's own robots: folders like those in `contract.robots`, outside of the package.

A robot is found by its name, never by a path: a bundle names its robot, and whoever wrote the bundle must not choose
which file of this machine is run.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from contract.errors import UsageError
from contract.robot import Robot

VARIABLE = "LANDBRIDGE_ROBOTS"
_MODULE = "landbridge_own_robots"  # prefix in sys.modules


def folders() -> list[Path]:
    """Where a user's robots are looked for, first match first.

    The folders that LANDBRIDGE_ROBOTS lists, in the syntax of PATH; none where it is empty. Where it is not set, the
    one folder `landbridge/robots` of the user's data.
    """
    listed = os.environ.get(VARIABLE)
    if listed is None:
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        # Path.expanduser fails for a user without a home, as in a container.
        return [Path(os.path.expanduser(data)) / "landbridge" / "robots"]  # noqa: PTH111
    return [Path(folder).absolute() for folder in listed.split(os.pathsep) if folder]


def found() -> dict[str, Path]:
    """The folder of each of the user's robots, by name."""
    robots: dict[str, Path] = {}
    for folder in folders():
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.name.isidentifier() and (path / "__init__.py").is_file():
                    robots.setdefault(path.name, path)
    return robots


class _Uncached(SourceFileLoader):
    """Runs the source as it is now: the bytecode cache takes a file of the same size and second for the same file."""

    def path_stats(self, path: object) -> Mapping[str, Any]:
        raise OSError("no bytecode")


def load(name: str, folder: Path, *, fresh: bool = False) -> Robot:
    """The `ROBOT` of the robot `name` in `folder`; its code runs once, or again where `fresh`.

    Raises:
        UsageError: the folder's code fails, has no `ROBOT`, or one of another name.
    """
    module_name = f"{_MODULE}.{name}"
    source = folder / "__init__.py"
    module = sys.modules.get(module_name)
    if fresh or module is None or module.__file__ != str(source):
        spec = importlib.util.spec_from_file_location(module_name, source, loader=_Uncached(module_name, str(source)))
        assert spec is not None and spec.loader is not None  # a .py file has a loader
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise UsageError(f"robot '{name}': {source} fails with {type(error).__name__}: {error}") from error
        sys.modules[module_name] = module
    robot = getattr(module, "ROBOT", None)
    if not isinstance(robot, Robot):
        raise UsageError(f"robot '{name}': {source} must give ROBOT, a contract.robot.Robot")
    if robot.name != name:
        raise UsageError(f"robot '{name}': {source} gives it the name '{robot.name}'; rename the folder or the robot")
    return robot
