"""What would have to be changed about one engine to make it move like the other: a difference gets a name and a size.

Greedy forward selection with Gauss-Newton steps on simulated responses: of all parameters, the one that explains most
of the squared difference of one control period; then the next, given the first; until nothing explains much more. First
in the air, where there is no contact; what is found there is kept while the rest is explained on the ground.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.gap.bench import Bench, Knob
from policies.gap.physics import MOTION, Difference, Pair, outcome
from policies.gap.response import Response

Floats = NDArray[np.float64]

PHYSICS_STEP = "physics step"
WELL = 0.5  # share of a squared difference that must be explained to say what it is like
_MOST = 3  # parameters in one place
_SHARE = 0.2  # of the squared difference that is left, which a further parameter must explain
_LEAST = 0.01  # of what training varied: less is not worth explaining, and what moves less explains nothing
_REFINEMENTS = 6
_SETTLED = 0.9  # of the remainder is left after a refinement that is the last
_UNCHANGED = 0.02  # of the way between the edges: a change that small is none
_NUDGE = 0.1  # of the way between the edges, for a derivative


@dataclass(frozen=True)
class Equivalent:
    """A change to the first engine that makes it more like the second.

    Attributes:
        value: what `parameter` would have to be. nominal: what it is. unit: SI unit.
        low, high: what training drew it from; NaN where it drew nothing.
    """

    parameter: str
    unit: str
    nominal: float
    value: float
    low: float
    high: float

    @property
    def trained(self) -> bool:
        """Whether training drew such values, up to a hundredth of the range."""
        margin = 0.01 * (self.high - self.low)
        return self.low - margin <= self.value <= self.high + margin


@dataclass(frozen=True)
class Explanation:
    """What the difference in one place is like.

    Attributes:
        where: `air` or `ground`.
        equivalents: changes found there, the most telling first; on the ground they add to those of the air.
        explained: share of the squared difference there that all of them explain, 0 to 1.
    """

    where: str
    equivalents: tuple[Equivalent, ...]
    explained: float


class Search:
    """Looks for equivalents of `second - first`.

    Args:
        bench: of the first engine.
        knobs: what may be changed.
        first, second: nominal responses of both engines. halved: the first with half its physics step.
        rows: their differences, which say what each channel is counted in: what training varied, or where it varied
            nothing, what a period changes at all.
    """

    def __init__(
        self, bench: Bench, knobs: list[Knob], first: Pair, second: Pair, halved: Pair, rows: list[Difference]
    ) -> None:
        self._scale = {(r.where, r.channel): r.trained if r.trained > 0.0 else max(r.change, 1e-9) for r in rows}
        self._bench = bench
        self._knobs = knobs
        self._base: dict[str, Floats] = {}
        self._gap: dict[str, Floats] = {}
        self._finer: dict[str, Floats] = {}
        for where in ("air", "ground"):
            self._base[where] = base = self._stack(where, getattr(first, where))
            self._gap[where] = self._stack(where, getattr(second, where)) - base
            self._finer[where] = self._stack(where, getattr(halved, where)) - base

    def run(self) -> list[Explanation]:
        """For the air and the ground what explains most of the difference, if it is at least `WELL` of it."""
        found = []
        kept: dict[Knob, float] = {}
        for where in ("air", "ground"):
            settings, explained = self._extend(where, kept)
            step, by_step = self._step(where)
            if step is not None and by_step > max(explained, WELL):
                found.append(Explanation(where, (step,), by_step))
                continue
            new = list(settings.items())[len(kept) :] if explained >= WELL else []
            kept |= dict(new)
            changes = [
                Equivalent(knob.name, knob.unit, knob.nominal, value, *knob.trained_range)
                for knob, value in new
                if abs(value - knob.nominal) > _UNCHANGED * (knob.edges[1] - knob.edges[0])
            ]
            found.append(Explanation(where, tuple(changes), explained))
        return found

    def _extend(self, where: str, kept: dict[Knob, float]) -> tuple[dict[Knob, float], float]:
        """Settings that begin with `kept` and explain more, and the share of the difference that they explain."""
        settings, gap = dict(kept), self._gap[where]
        left = gap - self._shift(where, settings)
        columns: dict[tuple[Knob, float], Floats] = {}
        while len(settings) < len(kept) + _MOST and np.square(left).mean() > _LEAST**2:
            columns = columns or {
                (knob, edge): self._shift(where, {knob: edge})
                for knob in self._knobs
                for edge in knob.edges
                if edge != knob.nominal
            }
            gain, step, knob, edge = max(
                ((*_gain(column, left, *key), *key) for key, column in columns.items() if key[0] not in settings),
                key=lambda option: option[0],
                default=(0.0, 0.0, None, 0.0),
            )
            if knob is None or gain < _SHARE * np.square(left).sum():
                break
            settings[knob] = knob.nominal + step * (edge - knob.nominal)
            settings, left = self._refine(where, settings, kept)
        return settings, _share(gap, left)

    def _step(self, where: str) -> tuple[Equivalent | None, float]:
        """Another physics step, and what it explains: errors of the integrators used grow in proportion to it."""
        column, gap = self._finer[where], self._gap[where]
        factor = float((column * gap).sum()) / max(float(np.square(column).sum()), 1e-30)
        nominal, nan = self._bench.env.task.physics_dt, float("nan")
        value = nominal * (1.0 - 0.5 * factor)
        if value <= 0.0 or not np.square(gap).mean() > _LEAST**2:
            return None, 0.0
        return Equivalent(PHYSICS_STEP, "s", nominal, value, nan, nan), _share(gap, gap - factor * column)

    def _refine(
        self, where: str, settings: dict[Knob, float], kept: dict[Knob, float]
    ) -> tuple[dict[Knob, float], Floats]:
        """Gauss-Newton from `settings`, of which `kept` stay; the best found, and what it leaves of the difference."""
        gap = self._gap[where]
        left = gap - self._shift(where, settings)
        for _ in range(_REFINEMENTS):
            nudges = {knob: _NUDGE * (knob.edges[1] - knob.edges[0]) for knob in settings if knob not in kept}
            slopes = [
                (self._shift(where, {**settings, knob: settings[knob] + nudge}) - (gap - left)) / nudge
                for knob, nudge in nudges.items()
            ]
            moves = np.linalg.lstsq(np.stack(slopes, axis=1), left, rcond=None)[0]
            trial = dict(settings)
            for knob, move in zip(nudges, moves, strict=True):
                trial[knob] = _allowed(knob, settings[knob] + float(move))
            after = gap - self._shift(where, trial)
            better = float(np.square(after).sum() / np.square(left).sum()) if left.any() else 1.0
            if not better < 1.0:
                break
            settings, left = trial, after
            if better > _SETTLED:
                break
        return settings, left

    def _shift(self, where: str, settings: dict[Knob, float]) -> Floats:
        return self._stack(where, self._bench.respond(where, settings)) - self._base[where]

    def _stack(self, where: str, response: Response) -> Floats:
        values = outcome(response)
        scaled = [values[c] / self._scale[where, c] for c in MOTION if (where, c) in self._scale]
        return np.concatenate([value.ravel() for value in scaled])


def _gain(column: Floats, left: Floats, knob: Knob, edge: float) -> tuple[float, float]:
    """Squared difference that the best step towards an edge explains, and that step, 1 at the edge."""
    weight, along = float(np.square(column).sum()), float((column * left).sum())
    if not np.square(column).mean() > (0.1 * _LEAST) ** 2 or along <= 0.0:
        return 0.0, 0.0
    # At most five times as far as the edge, and what is positive stays so.
    longest = (_allowed(knob, knob.nominal + 5.0 * (edge - knob.nominal)) - knob.nominal) / (edge - knob.nominal)
    step = min(along / weight, longest)
    return 2.0 * step * along - step * step * weight, step


def _share(gap: Floats, left: Floats) -> float:
    """Share of a squared difference that is explained where `left` is left; 1 of no difference."""
    whole = float(np.square(gap).sum())
    return 1.0 - float(np.square(left).sum()) / whole if whole > 0.0 else 1.0


def _allowed(knob: Knob, value: float) -> float:
    return max(value, 0.05 * knob.nominal) if knob.nominal > 0.0 else value
