"""Randomisations by what a command line calls them: a preset, or a file."""

from pathlib import Path

from contract.errors import UsageError
from domain_rand import file
from domain_rand.presets import PRESETS
from domain_rand.spec import Randomisation


def named(name: str) -> Randomisation:
    """A preset of that name, else the file there.

    Raises:
        UsageError: it is neither, or the file is no randomisation.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.exists():
        raise UsageError(f"randomisation: {name} is neither a file nor one of {', '.join(PRESETS)}")
    return file.read(path)
