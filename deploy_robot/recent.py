"""Counts what happened lately."""


class Recent:
    """How often something has happened within the last `window` s of the time that has been counted."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._ages: list[float] = []  # s, oldest first

    @property
    def count(self) -> int:
        return len(self._ages)

    def happened(self) -> None:
        """It has just happened."""
        self._ages.append(0.0)

    def pass_time(self, dt: float) -> None:
        """Let `dt` s pass."""
        if self._ages:
            self._ages = [age + dt for age in self._ages if age + dt <= self._window]
