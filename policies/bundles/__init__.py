"""The bundles that Landbridge ships, one folder each, by name. Reading them needs no training code."""

import difflib
from pathlib import Path

from contract.errors import UsageError

_FOLDER = Path(__file__).parent
_MARK = "contract.json"


def names() -> list[str]:
    """Names of the shipped bundles, sorted."""
    return sorted(path.parent.name for path in _FOLDER.glob(f"*/{_MARK}"))


def path(name: str) -> Path:
    """Folder of the shipped bundle called `name`.

    Raises:
        UsageError: none is called so; the message lists those that are, and the closest.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        listed = ", ".join(known) or "none"
        raise UsageError(f"unknown bundle '{name}': shipped with this version are {listed}{hint}")
    return _FOLDER / name
