"""Writes docs/cli.md from what the commands say of themselves: `make docs`."""

import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from landbridge import cli, commands

_HEAD = """\
# Command line

Written by `make docs` from the commands' own help; change it there.

Every command prints one sentence on standard error when it fails and ends with an exit code:

| code | meaning |
|---|---|
| 0 | done, and where the command judges something, it holds |
| 1 | failed, or the verdict is no |
| 2 | the command line itself is wrong: unknown name, option or value |
| 130 | interrupted with Ctrl-C |

`LANDBRIDGE_DEBUG=1` in the environment adds the whole traceback.
"""


def reference() -> str:
    """The page as Markdown."""
    parts = [_HEAD, _block("landbridge", commands.overview())]
    for title, entries in commands.GROUPS.items():
        parts.append(f"## {title.capitalize()}\n")
        parts += [_block(f"landbridge {entry.name}", _help(entry.name), level=3) for entry in entries]
    return "\n".join(parts)


def _help(name: str) -> str:
    said = io.StringIO()
    # The width of the page, whatever terminal this runs in.
    with redirect_stdout(said), patch.dict(os.environ, COLUMNS="100"):
        code = cli.main([name, "--help"])
    if code != 0:
        raise SystemExit(f"landbridge {name} --help ended with exit code {code}")
    return said.getvalue()


def _block(heading: str, text: str, level: int = 2) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"{'#' * level} `{heading}`\n\n```text\n{lines}\n```\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("cli.md")
    target.write_text(reference())
    print(f"wrote {target}")
