"""`landbridge list`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from landbridge.extras import extra_with

Kind = Literal["all", "robots", "tasks", "recipes", "engines", "drivers", "bundles"]


@dataclass(frozen=True)
class List:
    """List the robots, tasks, recipes, engines, drivers and shipped bundles that this installation has.

    Examples:
        landbridge list
        landbridge list bundles
    """

    what: Annotated[Kind, tyro.conf.Positional] = "all"
    """What to list."""

    def run(self) -> int:
        """Exit code 0, also where a kind cannot be listed because its extra is not installed."""
        listings: dict[str, Callable[[], list[tuple[str, str]]]] = {
            "robots": _robots,
            "tasks": _tasks,
            "recipes": _recipes,
            "engines": _engines,
            "drivers": _drivers,
            "bundles": _bundles,
        }
        chosen = listings if self.what == "all" else {self.what: listings[self.what]}
        for title, listing in chosen.items():
            print(f"{title}:")
            for name, about in _rows(listing):
                print(f"  {name:<22} {about}".rstrip())
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


def _engines() -> list[tuple[str, str]]:
    from sim import engines

    return [(name, "") for name in engines.names()]


def _drivers() -> list[tuple[str, str]]:
    from deploy_robot import drivers

    return [(name, "") for name in drivers.names()]


def _bundles() -> list[tuple[str, str]]:
    from policies import bundles

    return [(name, str(bundles.path(name))) for name in bundles.names()]
