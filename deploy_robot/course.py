"""The course of a session: what it does now, and what happened when."""

from collections.abc import Mapping
from dataclasses import dataclass, field

WALKING = "walking"
"""The phase in which the policy follows the command."""

SHADOWING = "shadowing"
"""Likewise in a dry run, where nothing moves."""


@dataclass(frozen=True)
class Status:
    """Where a session stands, for a live display."""

    phase: str
    mode: str = ""
    elapsed: float = 0.0  # s that the policy has been driving
    command: tuple[float, float, float] = (0.0, 0.0, 0.0)  # m/s, m/s, rad/s
    trips: int = 0
    causes: tuple[str, ...] = ()
    diagnostics: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by name, such as `robot_node: loop`


@dataclass
class Course:
    """Moments of a session, s on the steady clock that all its logs share; None for what did not happen."""

    start: float
    armed: float | None = None
    command_reached: float | None = None
    end: float | None = None
    interrupted: bool = False  # by the user
    problem: str = ""  # why it ended other than planned
