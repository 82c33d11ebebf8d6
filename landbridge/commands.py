"""Every command by name. A static table, so that `landbridge --help` imports none of them."""

import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from contract.errors import UsageError


class Command(Protocol):
    """A parsed command line: a frozen dataclass whose fields are the arguments."""

    def run(self) -> int:
        """Do it and return the exit code."""
        ...


@dataclass(frozen=True)
class Entry:
    """Where a command's class is; the module is imported when the command is chosen."""

    name: str
    class_name: str
    summary: str

    @property
    def module(self) -> str:
        """The command's own file."""
        return f"landbridge.{self.name}"

    def load(self) -> type[Command]:
        """The command's class."""
        command: type[Command] = getattr(importlib.import_module(self.module), self.class_name)
        return command


GROUPS: dict[str, tuple[Entry, ...]] = {
    "start here": (
        Entry("demo", "Demo", "train, export, check and run a walking robot in one go, and write a report"),
        Entry("list", "List", "the robots, tasks, recipes, engines, drivers and bundles that there are"),
        Entry("doctor", "Doctor", "what this machine can run, what is missing, and how to get it"),
    ),
    "make a policy": (
        Entry("train", "Train", "train a policy in simulation and export it as a bundle"),
        Entry("export", "Export", "export a training run, finished or not, as a bundle"),
        Entry("check", "Check", "run a bundle in simulation over a grid of commands, and give a verdict"),
        Entry("gap", "Gap", "compare a policy in two physics engines, and say what is at fault where they part"),
        Entry("sweep", "Sweep", "find how far a robot may differ from those of training, and in what a policy fails"),
        Entry("calibrate", "Calibrate", "tighten a bundle's safety monitors, with a promised rate of false trips"),
        Entry("video", "Video", "turn a recording, or a bundle in simulation, into an mp4"),
    ),
    "bring a robot": (
        Entry("robot", "RobotFiles", "import a robot from MJCF or URDF, or export one as URDF, USD or MJCF"),
        Entry("excite", "Excite", "move a robot so that its motion tells of it, within its limits, and record that"),
        Entry("identify", "Identify", "fit the simulator to a recording of a robot, and say what it tells"),
    ),
    "look into a bundle": (
        Entry("inspect", "Inspect", "show what a bundle expects, gives, and where it comes from"),
        Entry("verify", "Verify", "verify that a bundle is whole and does here what it did in training"),
        Entry("sign", "Sign", "sign a bundle, so that robots can tell that it is yours"),
        Entry("keygen", "Keygen", "make the keys: a private one to sign with, a public one for the robots"),
    ),
    "run it": (
        Entry("run", "Run", "run a bundle on a robot over ROS 2, under the safety supervisor"),
        Entry("teleop", "Teleop", "drive the robot by keyboard or gamepad, with a dead man's switch"),
        Entry("emulate", "Emulate", "play the robot: an emulated one on the robot's own bus"),
        Entry("monitors", "Monitors", "the safety monitors, their thresholds and reactions"),
        Entry("replay", "Replay", "replay a recording: its commands bit for bit, or with other thresholds"),
    ),
}

COMMANDS: dict[str, Entry] = {entry.name: entry for entries in GROUPS.values() for entry in entries}

_HEAD = """\
usage: landbridge COMMAND [ARGUMENTS]

Takes a robot policy from simulation to a robot controller.
"""

_TAIL = """
options:
  -h, --help    this text; after a command, its arguments and examples
  --version     print the version

examples:
  landbridge doctor
  landbridge demo --pretrained
  landbridge train --help

With LANDBRIDGE_DEBUG=1 in the environment an error prints its whole traceback.
"""


def overview() -> str:
    """The text of `landbridge --help`."""
    lines = [_HEAD]
    for title, entries in GROUPS.items():
        lines += [f"{title}:", *(f"  {entry.name:<13} {entry.summary}" for entry in entries), ""]
    return "\n".join(lines).rstrip("\n") + "\n" + _TAIL


def find(name: str) -> Entry:
    """The command called `name`.

    Raises:
        UsageError: there is none; the message names the closest.
    """
    if name in COMMANDS:
        return COMMANDS[name]
    what = "option" if name.startswith("-") else "command"
    hint = closest(name, [*COMMANDS, "help", "version"])
    raise UsageError(f"unknown {what} '{name}'{hint}; `landbridge --help` lists the commands")


def closest(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the best match of `name`, or nothing."""
    matches = difflib.get_close_matches(name.lstrip("-"), known, n=1)
    return f", did you mean '{matches[0]}'?" if matches else ""
