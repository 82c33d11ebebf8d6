"""Refusals of parameter values that cannot be played: they would come out as others without a word."""

from torch import Tensor

from contract.errors import UsageError


def check_range(name: str, values: Tensor, lowest: float, highest: float, unit: str = "") -> None:
    """Raises UsageError unless all values lie between `lowest` and `highest`; NaN does not."""
    if not bool(((values >= lowest) & (values <= highest + 1e-6)).all()):
        raise UsageError(f"randomisation: {name} must lie between {lowest:g} and {f'{highest:g} {unit}'.rstrip()}")
