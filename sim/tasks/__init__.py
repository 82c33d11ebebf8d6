"""Tasks, one file each, by name."""

import difflib
import importlib

from contract.errors import UsageError
from sim.tasks.task import Task

_MODULES = {"go2-velocity-flat": "sim.tasks.go2_velocity_flat"}


def names() -> list[str]:
    """Tasks that exist."""
    return sorted(_MODULES)


def load(name: str) -> Task:
    """The task of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in _MODULES:
        close = difflib.get_close_matches(name, _MODULES, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise UsageError(f"unknown task '{name}': known are {', '.join(names())}{hint}")
    task: Task = importlib.import_module(_MODULES[name]).TASK
    return task
