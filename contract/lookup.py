"""Names that a user may give: one sentence for one that is not known."""

import difflib
from collections.abc import Iterable

from contract.errors import UsageError


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for `name`, which is none of the `known` names of a `kind`: it lists those, and the closest."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(
        name.lower().replace("-", "_"), known, n=1, cutoff=0.4
    )
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return UsageError(f"unknown {kind} '{name}': known are {', '.join(known) or 'none'}{hint}")
