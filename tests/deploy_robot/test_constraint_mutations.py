"""The tests of the constraint table would notice if any part of any row were missing or wrong.

Each row is changed in every way below, the scenarios of that row run against the changed table, and at least one of the
checks that the table's own tests consist of must fail.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

import pytest
from constraint_scenarios import (
    DEBOUNCED,
    LATCHING,
    NAMES,
    ROWS,
    SCENARIOS,
    SCOPED,
    SELF_ENDING,
    check_accepts_the_limit_itself,
    check_passes_just_inside,
    check_releases,
    check_resets,
    check_scope,
    check_short_violation_passes,
    check_trips,
    check_trips_on_nan,
    mutated,
)
from supervised_robot import DT

from deploy_robot import judge
from deploy_robot.constraint import Constraint, Reaction, Reading, Scope
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.judge import Row
from deploy_robot.thresholds import thresholds_of

Table = tuple[Constraint, ...]
Check = Callable[[str, Table], object]


def checks(name: str) -> list[Check]:
    """What tests/deploy_robot/test_constraints.py runs for a row."""
    found: list[Check] = [check_trips, check_passes_just_inside]
    found += [check_short_violation_passes] if name in DEBOUNCED else []
    found += [check_scope] if name in SCOPED else []
    found += [check_releases] if name in SELF_ENDING else []
    found += [check_resets] if name in LATCHING else []
    return found


def caught(name: str, table: Table, likely: Check) -> bool:
    """Whether any check of the row fails. The one that is likely to goes first, which only saves time."""
    for check in sorted(checks(name), key=lambda check: check is not likely):
        try:
            check(name, table)
        except AssertionError:
            return True
    return False


def changed(name: str, **fields: object) -> Table:
    """The table with other values in one row."""
    return tuple(dataclasses.replace(row, **fields) if row.name == name else row for row in CONSTRAINTS)


def mutants(name: str) -> Iterator[tuple[str, Table, Check]]:
    """The table with one row broken, in each way that applies to it, and the check that is likely to notice."""
    row = ROWS[name]
    limit = thresholds_of(CONSTRAINTS, SCENARIOS[name].contract)[name].value
    check_end = check_releases if name in SELF_ENDING else check_resets

    def negated(reading: Reading) -> float:
        return -1.0 if not row.worst(reading) <= limit else math.inf

    yield "deleted", tuple(other for other in CONSTRAINTS if other.name != name), check_trips
    yield "never violated", mutated(name, lambda reading: -1.0), check_trips
    yield "always violated", mutated(name, lambda reading: math.inf), check_passes_just_inside
    yield "negated", mutated(name, negated), check_passes_just_inside
    yield "limit doubled", changed(name, limit=2.0 * row.limit if row.limit else 1.0), check_trips
    yield "limit halved", changed(name, limit=0.5 * row.limit if row.limit else -1.0), check_passes_just_inside
    yield "trips later", changed(name, trip_after=row.trip_after + 3 * DT), check_trips
    if row.trip_after:
        yield "debounce removed", changed(name, trip_after=0.0), check_short_violation_passes
    if row.release_after:
        yield "release at once", changed(name, release_after=0.0), check_end
    yield "release much later", changed(name, release_after=row.release_after + 2.0), check_end
    for reaction in Reaction:
        if reaction is not row.reaction:
            yield f"reaction {reaction.name.lower()}", changed(name, reaction=reaction), check_trips
    if name in SCOPED:
        scope = Scope.POLICY if row.scope is Scope.ROBOT else Scope.ROBOT
        yield "other scope", changed(name, scope=scope), check_scope


@pytest.mark.parametrize("name", NAMES)
def test_every_change_of_a_row_is_caught(name: str) -> None:
    survivors = [what for what, table, likely in mutants(name) if not caught(name, table, likely)]
    assert not survivors


class BlindRow(Row):
    """Takes a figure that is not a number for none."""

    def judge(self, reading: Reading, counts: bool, dt: float, sure_dt: float) -> bool:
        if self.constraint.judged(reading) and math.isnan(self.constraint.worst(reading)):
            return False
        return super().judge(reading, counts, dt, sure_dt)


def test_a_comparison_that_is_blind_to_nan_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "Row", BlindRow)
    check_trips("tilt")
    with pytest.raises(AssertionError):
        check_trips_on_nan("tilt")


class StrictRow(Row):
    """Compares with `<` instead of `<=`."""

    def judge(self, reading: Reading, counts: bool, dt: float, sure_dt: float) -> bool:
        at_limit = float(self.constraint.worst(reading)) == self._threshold.value
        self._threshold = dataclasses.replace(self._threshold, value=math.nan) if at_limit else self._threshold
        return super().judge(reading, counts, dt, sure_dt)


def test_a_comparison_that_excludes_the_limit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "Row", StrictRow)
    with pytest.raises(AssertionError):
        check_accepts_the_limit_itself("tilt")
