"""What a fuzzed reader is: how inputs are made, and how its verdict on one is judged."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from contract.errors import LandbridgeError


class Violation(Exception):
    """A reader took what it should have refused, or refused it in a way that no user can read."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: for people.
        seed: a sound input.
        change: a sound input to a changed one.
        read: reads an input, and raises LandbridgeError where it refuses, Violation where what it accepted is
            unsound. Anything else that it raises is a crash.
    """

    name: str
    seed: bytes
    change: Callable[[Random, bytes], bytes]
    read: Callable[[bytes], object]

    def accepts(self, data: bytes) -> bool:
        """Whether the reader takes an input. Violation, or whatever the reader crashed with."""
        try:
            self.read(data)
        except LandbridgeError as error:
            message = str(error)
            if not message or not message.isprintable() or len(message) > _MAX_MESSAGE:
                raise Violation(f"refused in an unreadable way: {message[:300]!r}") from error
            return False
        return True


_MAX_MESSAGE = 20_000  # characters; a field's path may be long
