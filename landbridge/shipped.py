"""A bundle on the command line: a path, or the name of a shipped one."""

from pathlib import Path

from contract.errors import UsageError


def find(given: Path) -> Path:
    """`given` where there is such a path, else the shipped bundle of that name.

    Raises:
        UsageError: neither is there.
    """
    from policies import bundles

    if given.exists():
        return given
    if given.name in bundles.names() and str(given) == given.name:
        return bundles.path(given.name)
    listed = ", ".join(bundles.names()) or "none in this version"
    raise UsageError(f"{given}: no such bundle; give a directory, a .zip, or a shipped one: {listed}")
