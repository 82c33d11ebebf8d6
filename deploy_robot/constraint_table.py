"""The constraint table in words: for the command line, and for docs/safety.md."""

from collections.abc import Mapping

from deploy_robot.constraint import Constraint
from deploy_robot.limits import Limits
from deploy_robot.thresholds import Threshold, thresholds_of

COLUMNS = ("constraint", "meaning", "limit", "from", "judged", "needs", "trips after", "reaction", "ends")


def cells(
    table: tuple[Constraint, ...], thresholds: Mapping[str, Threshold], limits: Limits | None = None
) -> list[tuple[str, ...]]:
    """One tuple a row, as COLUMNS; with the limits of a robot it is told which rows can never be judged on it."""
    return [
        (
            row.name,
            row.meaning,
            f"{thresholds[row.name].value:g} {thresholds[row.name].unit}",
            f"{row.basis}, {thresholds[row.name].source}" if row.basis else thresholds[row.name].source,
            row.scope.value if limits is None or row.known(limits) else "never here",
            row.needs,
            f"{row.trip_after:g} s" if row.trip_after else "at once",
            row.reaction.name.lower(),
            row.clears,
        )
        for row in table
    ]


def markdown(table: tuple[Constraint, ...]) -> str:
    """The table with its default limits; those in control periods for the default period."""
    rows = [(f"`{row[0]}`", *row[1:]) for row in cells(table, thresholds_of(table))]
    tests = [f"`{row.test.rpartition('/')[2]}`" for row in table]
    lines = [(*COLUMNS, "tripped by"), ("---",) * (len(COLUMNS) + 1)]
    lines += [(*row, test) for row, test in zip(rows, tests, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
