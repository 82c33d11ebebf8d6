"""What keeps a law from being measured."""

from contract.errors import LandbridgeError


class NotOffered(LandbridgeError):
    """The engine declares that it cannot do what a law needs."""
