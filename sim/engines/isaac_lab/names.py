"""Names of the description among Isaac Lab's."""

from contract.errors import UsageError
from sim.formats.usd import prim_name


def positions(names: tuple[str, ...], where: list[str], kind: str) -> list[int]:
    """Where each of our names is among Isaac Lab's.

    Raises:
        UsageError: one is not there, or more than once.
    """
    for name in names:
        if where.count(prim_name(name)) != 1:
            raise UsageError(f"Isaac Lab: {kind} '{name}' is not among {', '.join(where)}")
    return [where.index(prim_name(name)) for name in names]
