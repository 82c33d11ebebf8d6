"""Errors that reach the user as one sentence: what is wrong, in which field, and what to do."""


class LandbridgeError(Exception):
    """A failure that the user can act on. The command line prints it and exits with `exit_code`."""

    exit_code = 1


class UsageError(LandbridgeError):
    """The request itself cannot be served: unknown name, wrong flag, contradicting options."""

    exit_code = 2


class BundleError(LandbridgeError):
    """A policy bundle is missing, damaged, of another schema, or does not do what it promises."""


class SafetyError(LandbridgeError):
    """The robot is not in a state in which the request may be carried out."""
