"""Tasks, one file each, by name."""

import importlib

from contract.lookup import unknown
from sim.tasks.task import Task

_MODULES = {"cartpole": "sim.tasks.cartpole", "go2-velocity-flat": "sim.tasks.go2_velocity_flat"}


def names() -> list[str]:
    """Tasks that exist."""
    return sorted(_MODULES)


def load(name: str) -> Task:
    """The task of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in _MODULES:
        raise unknown("task", name, _MODULES)
    task: Task = importlib.import_module(_MODULES[name]).TASK
    return task
