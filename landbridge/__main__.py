"""`python -m landbridge` is the `landbridge` command."""

from landbridge.cli import entry_point

entry_point()
