"""Models of MuJoCo Menagerie, by name, through the package `mujoco-menagerie`, which downloads them."""

import importlib
from pathlib import Path

from contract.errors import LandbridgeError, UsageError
from contract.lookup import unknown

PREFIX = "menagerie:"


def fetch(name: str) -> Path:
    """The MJCF of a model, downloaded on first use, or from the folder that MENAGERIE_ROOT names.

    Raises:
        UsageError: no such model.
        LandbridgeError: it cannot be downloaded here, or the package is not installed.
    """
    try:
        mujoco_menagerie = importlib.import_module("mujoco_menagerie")
    except ModuleNotFoundError as error:
        raise LandbridgeError(
            f"{PREFIX}{name}: needs the package mujoco-menagerie: pip install mujoco-menagerie"
        ) from error
    if name not in mujoco_menagerie.names():
        raise unknown("model of MuJoCo Menagerie", name, mujoco_menagerie.names())
    robot = mujoco_menagerie.get(name)
    try:
        path: Path = robot.xml(robot.default_model)
    except mujoco_menagerie.MenagerieError as error:
        raise LandbridgeError(
            f"{PREFIX}{name}: the package mujoco-menagerie cannot fetch it ({error}); where there is no network, set "
            "MENAGERIE_ROOT to a copy of github.com/google-deepmind/mujoco_menagerie, or import a file"
        ) from error
    if not path.is_file():
        raise UsageError(f"{PREFIX}{name}: {path} is missing; MENAGERIE_ROOT must be a copy of the whole model")
    return path
