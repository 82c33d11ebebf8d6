"""Judges a reading by the constraint table, row by row, and debounces what it finds."""

from collections.abc import Mapping

from deploy_robot.constraint import Constraint, Reaction, Reading, Scope
from deploy_robot.thresholds import Threshold

_ROUNDING = 1e-9  # s, of sums of time steps


class Row:
    """One row of the table at work.

    It trips once it has been violated for its `trip_after`, and is over once it has not been for its
    `release_after`. A row that does not count in a step has neither tripped nor a past.

    Attributes:
        constraint: what is judged.
        judged: whether all that it needs was there in the last step. What is not reported proves nothing: the row then
            neither trips nor ends what it has found before.
        ok: whether the figure was within the limit when it was last known, whether that counted or not.
        tripped: whether the violation is in force.
        latched: whether the row keeps the robot damped until a reset, set by the supervisor.
    """

    def __init__(self, constraint: Constraint, threshold: Threshold) -> None:
        self.constraint = constraint
        self.about_policy = constraint.scope is Scope.POLICY
        self.judged = True
        self.ok = True
        self.tripped = False
        self.latched = False
        self._threshold = threshold
        self._figure = 0.0
        self._where = ""  # which joint or element had it when it was violated
        self._bad_time = 0.0  # s since the violation was first seen
        self._good_time = 0.0  # s since the figure was first seen back within the limit

    @property
    def reaction(self) -> Reaction:
        """What it causes while it has tripped."""
        return self.constraint.reaction

    def judge(self, reading: Reading, counts: bool, dt: float, sure_dt: float) -> bool:
        """Judge one step; returns whether the row trips in it.

        Args:
            counts: whether a violation counts in this step; `ok` is found in any case.
            dt: s since the last step, which counts against a row that stays violated.
            sure_dt: s of that which were surely watched, which count for a row that stays in order.
        """
        self.judged = not self.constraint.needs or self.constraint.judged(reading)
        if not self.judged:
            self.tripped = self.tripped and counts
            return False
        was_ok, was_tripped = self.ok, self.tripped
        self._figure = float(self.constraint.worst(reading))
        self.ok = self._figure <= self._threshold.value
        if self.ok and was_ok and not was_tripped:
            return False
        if self.ok:
            self._good_time = self._good_time + sure_dt if was_ok else 0.0
            self.tripped = was_tripped and counts and self._good_time < self.constraint.release_after - _ROUNDING
        else:
            self._where = self.constraint.where(reading)
            self._bad_time = 0.0 if was_ok or not counts else self._bad_time + dt
            lasts = self._bad_time >= self.constraint.trip_after - _ROUNDING
            self.tripped = counts and (was_tripped or lasts)
        return self.tripped and not was_tripped

    def sentence(self, reading: Reading) -> str:
        """What to tell the operator: how far the figure is over its limit, or that it no longer is."""
        constraint, threshold = self.constraint, self._threshold
        if self.ok:
            over = f"over for less than {constraint.release_after:g} s" if self.tripped else "over"
            return f"{constraint.name}: {over}"
        if constraint.detail is not None:
            return f"{constraint.name}: {constraint.detail(reading)}"
        figure = f"{self._where} {self._figure:.3g}".lstrip()
        known = "" if self.judged else ", when it was last reported"
        return f"{constraint.name}: {figure} {threshold.unit}, limit {threshold.value:.3g}{known}"


def rows_of(table: tuple[Constraint, ...], thresholds: Mapping[str, Threshold]) -> tuple[Row, ...]:
    """The table, nothing violated so far."""
    return tuple(Row(constraint, thresholds[constraint.name]) for constraint in table)
