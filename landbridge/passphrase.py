"""Passphrases of private keys: from the environment in scripts, else asked for at the terminal."""

import getpass
import os
import sys

from contract.errors import UsageError

ENVIRONMENT = "LANDBRIDGE_KEY_PASSPHRASE"


def ask(twice: bool = False) -> str:
    """The passphrase; never empty.

    Args:
        twice: of a new key, so that a slip is found while it can be mended.

    Raises:
        UsageError: it is empty, the two differ, or there is nobody to ask.
    """
    given = os.environ.get(ENVIRONMENT)
    if given is None:
        if not sys.stdin.isatty():
            raise UsageError(f"the key has a passphrase, and there is no terminal to ask for it: set {ENVIRONMENT}")
        try:
            given = getpass.getpass("passphrase of the private key: ")
            if twice and getpass.getpass("once more: ") != given:
                raise UsageError("the two passphrases differ: nothing was written")
        except EOFError:
            raise UsageError("no passphrase was given") from None
    if not given:
        raise UsageError("the passphrase is empty, which protects nothing: give one")
    return given
