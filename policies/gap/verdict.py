"""From evidence to a verdict: whose fault a gap is, and whether it is too wide."""

from collections.abc import Iterator, Sequence

import numpy as np

from contract.policy_contract import Contract
from contract.robot import Robot
from policies.check_metrics import mean_of_known
from policies.evaluation import Bar
from policies.gap.bench import GROUND_HEIGHT
from policies.gap.course import Course
from policies.gap.equivalent import PHYSICS_STEP, WELL, Equivalent, Explanation
from policies.gap.finding import Fault, Finding, listed
from policies.gap.parting import Parting, first_to_part
from policies.gap.physics import MOTION, Difference, Touch
from policies.gap.response import Response
from policies.gap.run import OPEN, Run
from sim.tasks.task import Task

ORDER: tuple[Fault, ...] = ("contract", "task", "physics", "policy")
"""Who is at fault where several are: what comes first makes what follows meaningless."""

NOTICED = 0.01  # of what training varied: smaller differences of physics are not worth a name
ABOVE_RESET = 3.0  # times how exactly a state can be set
GROUND_TOLERANCE = 0.005  # m: soft contacts let a robot of this size sink in by 1 to 3 mm
DISAGREEING_ENDS = 0.01  # share of equal states in which a termination may differ: those on its very edge
_HALF = 0.5  # of what a task allows may come from the engine alone
_TOUCHING = 0.2  # of a squared difference: less is not worth a word
_CONTACT = 2.0  # times as much must differ on the ground as in the air to blame contact
_PLACES = {"air": "from random states without contact", "ground": "from the states of the run"}


def of_task(
    task: Task, contract: Contract, course: Course, first: tuple[str, Response], second: tuple[str, Response]
) -> Iterator[Finding]:
    """Where both engines are not asked the same, or not judged alike, or what is asked was never trained."""
    trained = contract.command_ranges[task.command.name]
    commands = course.commands
    for i, element in enumerate(task.command.elements):
        beyond = max(float(commands[:, i].max()) - trained.upper[i], trained.lower[i] - float(commands[:, i].min()))
        if beyond > 0.0:
            yield Finding(
                "task", "both", task.command.name, (element,), beyond, "",
                f"the course commands {element} up to {np.abs(commands[:, i]).max():g},"
                f" the bundle was trained from {trained.lower[i]:g} to {trained.upper[i]:g}",
            )  # fmt: skip
    (here, ours), (there, theirs) = first, second
    for name, ends in ours.ends.items():
        share = float((ends != theirs.ends[name]).mean())
        if share > DISAGREEING_ENDS:
            yield Finding(
                "task", there, f"termination {name}", (), share, "of the states",
                f"termination {name} judges {share:.0%} of equal states otherwise in {there} than in {here}",
            )  # fmt: skip


def noticed(rows: Sequence[Difference]) -> list[Difference]:
    """Differences that are more than rounding, and more than nothing next to what training varied."""
    return [
        row
        for row in rows
        if row.channel in MOTION and row.size > ABOVE_RESET * np.nan_to_num(row.reset) and _weight(row) > NOTICED
    ]


def of_physics(
    rows: Sequence[Difference], explanations: Sequence[Explanation], touched: Touch | None, here: str, there: str
) -> Iterator[Finding]:
    """What is like what, in the air and on the ground, the wider difference first; in words where no parameter is."""
    found = {where: [row for row in noticed(rows) if row.where == where] for where in _PLACES}
    weight = {where: max(map(_weight, found[where]), default=0.0) for where in _PLACES}
    like = {explanation.where: explanation for explanation in explanations}
    for where in sorted(_PLACES, key=lambda place: -weight[place]):
        if not found[where]:
            continue
        row = max(found[where], key=_weight)
        varied = f"{weight[where]:.2g} times what training varied" if row.trained > 0.0 else "training varied nothing"
        if like[where].equivalents:
            changes = like[where].equivalents
            also = (
                ", on top of what it is like without contact" if where == "ground" and like["air"].equivalents else ""
            )
            ground = any(c.parameter == GROUND_HEIGHT and abs(c.value) > GROUND_TOLERANCE for c in changes)
            yield Finding(
                "task" if ground else "physics", there, changes[0].parameter, tuple(c.parameter for c in changes),
                changes[0].value, changes[0].unit,
                f"{there} moves like {here} with {' and '.join(map(_change, changes))}{also}:"
                f" {like[where].explained:.0%} of what differs in one period {_PLACES[where]}, {varied}",
            )  # fmt: skip
        elif like[where].explained < WELL:
            # What differs in the air differs on the ground, too.
            touching = any(row.channel == "contact" and row.change > 0.0 for row in rows)
            cause = "motors, joints or inertia"
            if touching and weight["ground"] > _CONTACT * weight["air"]:
                cause = "contact"
            if max(r.size / max(r.step, 1e-12) for r in found[where]) <= 1.0:
                cause = f"no more than {here} does from itself with half its physics step"
            yield Finding(
                "physics", there, row.channel, (row.worst,), row.size, row.unit,
                f"{there} and {here} differ in one period {_PLACES[where]}, {varied}: {cause};"
                f" most in {row.channel} of {row.worst}, {row.size:.3g} {row.unit} (root mean square);"
                f" no parameter explains it{_touching(touched, here, there) if where == 'ground' else ''}",
            )  # fmt: skip


def _touching(touched: Touch | None, here: str, there: str) -> str:
    """How much of a difference on the ground comes with another time of contact."""
    if touched is None or not touched.share > _TOUCHING:
        return ""
    who, other, much = (
        (there, here, touched.earlier) if touched.earlier > touched.later else (here, there, touched.later)
    )
    return (
        f"; {touched.share:.0%} of its square comes from periods with contact in one engine alone,"
        f" mostly in {who} and not in {other} ({much:.0%} of the periods)"
    )


def _change(like: Equivalent) -> str:
    return (
        f"{like.parameter} {_number(like.value, like.unit)} in place of {_number(like.nominal, like.unit)}"
        f"{_range(like)}"
    )


def _weight(row: Difference) -> float:
    """A difference in units of what training varied, or else of what changes at all."""
    return row.size / (row.trained if row.trained > 0.0 else max(row.change, 1e-12))


def of_policy(
    found: Sequence[Finding], parted: Sequence[Parting], there: str, here: str, period: float
) -> Iterator[Finding]:
    """What parts though nothing differs: the policy, or the robot under it, makes much of little."""
    first = first_to_part(parted, period)
    if found or first is None:
        return
    yield Finding(
        "policy", there, first.signal, (first.element,), first.largest, "of the tolerance",
        f"{there} and {here} differ by next to nothing in one period, and part all the same:"
        " the closed loop makes the difference grow",
    )  # fmt: skip


def bars(
    task: Task, robot: Robot, course: Course, first: Run, second: Run, found: Sequence[Finding]
) -> tuple[Bar, ...]:
    """The requirements: contract kept, task the same, no falls, the task's own bars, half of which for the engine.

    Legs that are over before the task has settled are not scored.
    """
    spec = task.check
    rows = [
        Bar(name, "", float(sum(finding.fault == fault for finding in found)), 0.0)
        for fault, name in (("contract", "breaches of the contract"), ("task", "differences of the task"))
    ]
    closed = [row for row in range(first.alive.shape[1]) if row != OPEN]
    rows += [
        Bar(f"falls in {run.engine}", "per run", float((~run.alive[-1, closed]).mean()), spec.max_fall_rate)
        for run in (first, second)
    ]
    for metric in spec.metrics:
        if metric.limit is None or course.settle >= course.steps:
            continue
        scores = []
        for run in (first, second):
            means = []
            for leg in range(len(course.legs)):
                stretch = run.rollout(slice(leg * course.steps, (leg + 1) * course.steps), robot)
                counted = stretch.alive & (np.arange(course.steps) >= course.settle)[:, None]
                means.append(mean_of_known(metric.function(stretch, counted)[closed]))
            scores.append(float(np.mean(means)))
            rows.append(Bar(f"{metric.name} in {run.engine}", metric.unit, scores[-1], metric.limit))
        far = abs(scores[1] - scores[0])
        rows.append(Bar(f"{metric.name}, difference", metric.unit, far, _HALF * metric.limit))
    return tuple(rows)


def alike(bars: Sequence[Bar], first: Run, second: Run, found: Sequence[Finding]) -> Iterator[Finding]:
    """A small gap that proves nothing: the policy fails in both engines."""
    if any(f.fault in ("contract", "task") for f in found):
        return
    failed = {bar.name for bar in bars if not bar.passed}
    for bar in bars:
        name = bar.name.removesuffix(f" in {first.engine}")
        if bar.name != name and {bar.name, f"{name} in {second.engine}"} <= failed:
            yield Finding(
                "task", "both", name, (), bar.value, bar.unit,
                f"{name} is beyond the task's bar in both engines, {bar.value:.3g} {bar.unit} in {first.engine}:"
                " the policy does not do the task, wherever it is",
            )  # fmt: skip


def summary(found: Sequence[Finding], bars: Sequence[Bar], here: str, there: str) -> tuple[str, str]:
    """Cause and verdict: the first of `ORDER` that anything was found for."""
    failed = [bar.name for bar in bars if not bar.passed]
    worst = sorted(found, key=lambda f: ORDER.index(f.fault))
    verdict = f"beyond the bars ({listed(failed)})" if failed else "within the bars"
    if not worst:
        return "none", f"{there} moves like {here}; {verdict}"
    return worst[0].fault, f"{worst[0].fault}: {worst[0].sentence}; {verdict}"


def _number(value: float, unit: str) -> str:
    return f"{value:.3g}" if unit in ("1", "") else f"{value:.3g} {unit}"


def _range(like: Equivalent) -> str:
    if like.parameter in (PHYSICS_STEP, GROUND_HEIGHT):
        return ""
    if np.isnan(like.low):
        return " (not trained)"
    return f" ({'trained' if like.trained else 'beyond training'}: {like.low:g} to {like.high:g})"
