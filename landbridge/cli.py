"""The entry point: find the command, parse its arguments, run it, turn every failure into one sentence."""

import errno
import inspect
import os
import shutil
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contract.errors import LandbridgeError, UsageError
from landbridge import commands
from landbridge.commands import Command, Entry
from landbridge.extras import extra_with

INTERRUPTED = 130  # 128 + SIGINT, as shells count it
BROKEN_PIPE = 141  # 128 + SIGPIPE


def entry_point() -> None:
    """What the `landbridge` script calls."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors go to stderr, one sentence each."""
    try:
        code = _dispatch(list(argv))
        sys.stdout.flush()
        return code
    except SystemExit as exit_:
        return _code(exit_)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader has gone: `landbridge list | head`
        _abandon_stdout()
        return BROKEN_PIPE
    except LandbridgeError as error:
        return _fail(str(error), error.exit_code)
    except ImportError as error:
        return _fail(_missing(error), 1)
    except OSError as error:
        code = _fail(_os_error(error), 1)
        _abandon_stdout()
        return code
    except Exception as error:
        return _fail(_unexpected(error), 1)


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(commands.overview(), end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"landbridge {_version()}")
        return 0
    return parse(commands.find(argv[0]), argv[1:]).run()


def parse(entry: Entry, arguments: list[str]) -> Command:
    """The command that `arguments` ask for; what follows `--` goes into its field `settings`, unparsed.

    Raises:
        SystemExit: 2 where an argument is wrong, 0 for `--help`; tyro has printed what there is to say.
        UsageError: there is a `--`, and the command has no settings.
    """
    import tyro

    command_class = entry.load()
    end = arguments.index("--") if "--" in arguments else len(arguments)
    own, settings = arguments[:end], arguments[end + 1 :]
    if "-h" in own or "--help" in own:
        # tyro would run the lines of the examples together.
        print(_folded(inspect.getdoc(command_class) or ""), end="\n\n")
    command: Any = tyro.cli(command_class, prog=f"landbridge {entry.name}", description="", args=own)
    if settings:
        if not hasattr(command, "settings"):
            raise UsageError(f"`landbridge {entry.name}` takes nothing after `--`, got {' '.join(settings)}")
        command = replace(command, settings=tuple(settings))
    parsed: Command = command
    return parsed


def _folded(docstring: str) -> str:
    """A docstring whose paragraphs fit the terminal and whose examples stay as they are."""
    width = min(shutil.get_terminal_size().columns, 100)
    paragraphs = docstring.split("\n\n")
    return "\n\n".join(text if "\n " in text else textwrap.fill(text, width) for text in paragraphs)


def _version() -> str:
    from importlib.metadata import version

    return version("landbridge")


def _code(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    return exit_.code if isinstance(exit_.code, int) else _fail(str(exit_.code), 1)


def _fail(sentence: str, code: int) -> int:
    if _debugging():
        traceback.print_exc()
    print(f"landbridge: {sentence}", file=sys.stderr)
    return code


def _abandon_stdout() -> None:
    """Write to nowhere from here on, if stdout takes no more: Python flushes it once again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging() -> bool:
    return os.environ.get("LANDBRIDGE_DEBUG", "") not in ("", "0")


def _missing(error: ImportError) -> str:
    extra = extra_with(error.name or "")
    if extra is None:
        return _unexpected(error)
    if isinstance(error, ModuleNotFoundError):
        return f"this command needs {error.name}, which is not installed: {extra.how}"
    return f"{error.name} is installed but cannot be loaded ({error}): {extra.how}"


def _os_error(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}; free some space and run the same command again"
    if error.strerror is None:
        return _unexpected(error)
    return f"{error.strerror.lower()}{where}"


def _unexpected(error: BaseException) -> str:
    name = type(error).__name__
    return f"unexpected {name}: {error} ({_keep_traceback()}; LANDBRIDGE_DEBUG=1 prints it)"


def _keep_traceback() -> str:
    try:
        descriptor, name = tempfile.mkstemp(prefix="landbridge-", suffix=".txt")
        os.close(descriptor)
        Path(name).write_text(traceback.format_exc())
    except OSError:
        return "its traceback could not be saved"
    return f"its traceback is in {name}"
