"""The bundles that Landbridge ships, one folder each, by name. Reading them needs no training code."""

from pathlib import Path

from contract.lookup import unknown

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
        raise unknown("bundle", name, known)
    return _FOLDER / name
