"""`landbridge list`."""

import functools
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from landbridge.extras import extra_with

_COLUMN = 25  # where descriptions begin

Kind = Literal["all", "robots", "tasks", "recipes", "engines", "drivers", "bundles"]


@dataclass(frozen=True)
class List:
    """List the robots, tasks, recipes, engines, drivers and shipped bundles that this installation has.

    `list engines` says more of each than `list` does: which parameters it can randomise, which terrains it builds,
    and what it does less exactly than others.

    Examples:
        landbridge list
        landbridge list bundles
        landbridge list engines
    """

    what: Annotated[Kind, tyro.conf.Positional] = "all"
    """What to list."""

    def run(self) -> int:
        """Exit code 0, also where a kind cannot be listed because its extra is not installed."""
        listings: dict[str, Callable[[], list[tuple[str, str]]]] = {
            "robots": _robots,
            "tasks": _tasks,
            "recipes": _recipes,
            "engines": functools.partial(_engines, in_full=self.what == "engines"),
            "drivers": _drivers,
            "bundles": _bundles,
        }
        chosen = listings if self.what == "all" else {self.what: listings[self.what]}
        for title, listing in chosen.items():
            print(f"{title}:")
            for name, about in _rows(listing):
                print(f"  {name:<{_COLUMN - 3}} {about}".rstrip())
        return 0


def _rows(listing: Callable[[], list[tuple[str, str]]]) -> list[tuple[str, str]]:
    try:
        return listing() or [("none", "")]
    except ModuleNotFoundError as error:
        # A robot computer has no simulator; what it does have should still be listed.
        extra = extra_with(error.name or "")
        if extra is None:
            raise
        return [("not installed", extra.how)]


def _robots() -> list[tuple[str, str]]:
    from contract import robots

    return [(name, robots.load(name).title) for name in robots.names()]


def _tasks() -> list[tuple[str, str]]:
    from sim import tasks

    return [(name, tasks.load(name).title) for name in tasks.names()]


def _recipes() -> list[tuple[str, str]]:
    from policies import recipes

    return [(name, f"landbridge train {name}") for name in recipes.names()]


def _engines(in_full: bool) -> list[tuple[str, str]]:
    from sim import engines

    rows = []
    for name in engines.names():
        missing = engines.missing_module(name)
        if missing is None:
            first, *more = _about_engine(name)
            rows += [(name, first), *(("", line) for line in more if in_full)]
        else:
            extra = extra_with(missing)
            rows.append((name, f"not installed: {extra.how if extra else f'there is no module {missing}'}"))
    return rows


def _about_engine(name: str) -> list[str]:
    """What an engine that is installed can do: one line, and those for who asks for more."""
    from contract import robots
    from sim import engines

    can = engines.capabilities(name, robots.load("unitree_go2"))  # of any robot
    lines = [
        f"randomises {', '.join(sorted(can.parameters))}",
        f"builds the terrains {', '.join(can.terrains)}",
        *([] if can.contact_force else ["does not measure contact forces"]),
        *(f"- {limit}" for limit in can.limits),
    ]
    width = max(40, shutil.get_terminal_size().columns - _COLUMN)
    wrapped = [part for line in lines for part in textwrap.wrap(line, width, subsequent_indent="  ")]
    return [f"installed; on {' or '.join(can.devices)}; {'trains' if can.trains else 'for validation'}", *wrapped]


def _drivers() -> list[tuple[str, str]]:
    from deploy_robot import drivers

    return [(name, "") for name in drivers.names()]


def _bundles() -> list[tuple[str, str]]:
    from policies import bundles

    return [(name, str(bundles.path(name))) for name in bundles.names()]
