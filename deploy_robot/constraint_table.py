"""The constraint table in words: for the command line, and for docs/safety.md."""

from collections.abc import Mapping

from deploy_robot.constraint import Constraint
from deploy_robot.thresholds import Threshold, thresholds_of

COLUMNS = ("constraint", "meaning", "limit", "from", "judged", "trips after", "reaction", "ends")


def cells(table: tuple[Constraint, ...], thresholds: Mapping[str, Threshold]) -> list[tuple[str, ...]]:
    """One tuple a row, as COLUMNS."""
    return [
        (
            row.name,
            row.meaning,
            f"{thresholds[row.name].value:g} {thresholds[row.name].unit}",
            thresholds[row.name].source,
            row.scope.value,
            f"{row.trip_after:g} s" if row.trip_after else "at once",
            row.reaction.name.lower(),
            row.clears,
        )
        for row in table
    ]


def markdown(table: tuple[Constraint, ...]) -> str:
    """The table with its default limits; those in control periods for the default period."""
    shown = [i for i, column in enumerate(COLUMNS) if column != "from"]
    rows = [(f"`{row[0]}`", *row[1:]) for row in cells(table, thresholds_of(table))]
    lines = [[row[i] for i in shown] for row in (COLUMNS, ("---",) * len(COLUMNS), *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
