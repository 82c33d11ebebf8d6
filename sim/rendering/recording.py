"""Reads recorded motion: the emulated robot's ground truth, and the episodes that a check leaves."""

import json
import zipfile
from pathlib import Path

import numpy as np

from contract.errors import UsageError
from sim.rendering.frames import Frames

_FIELDS = ("time", "root_pos", "root_quat", "joint_pos")


def read_recording(path: Path) -> tuple[str, Frames]:
    """Robot name and motion of a recording.

    Raises:
        UsageError: the file is not there, or is not a recording; the message names the field.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            fields = {name: file[name] for name in (*_FIELDS, "report")}
        about = json.loads(str(fields.pop("report")))
        robot = about["robot"]
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except KeyError as error:
        raise UsageError(f"{path}: not a recording of a robot: it has no field {error}") from None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: not a recording of a robot: {error}") from None
    if not isinstance(robot, str):
        raise UsageError(f"{path}: not a recording of a robot: its robot is {robot!r}")
    return robot, Frames.of(**fields)
