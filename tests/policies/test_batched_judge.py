"""Many robots are debounced as the supervisor debounces one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deploy_robot.constraint import Constraint, Reaction
from deploy_robot.judge import Row
from deploy_robot.thresholds import thresholds_of
from policies.batched_judge import SUPERVISOR_PERIOD, BatchedJudge, samples_to_trip

PERIOD = 0.02  # s
ROBOTS, STEPS = 7, 400


def row(name: str, trip_after: float, release_after: float, limit: float = 1.0) -> Constraint:
    return Constraint(name, "", lambda r: getattr(r, name), limit, "", Reaction.DAMP, trip_after, release_after)


TABLE = (
    row("at_once", 0.0, 0.0),
    row("short", 0.02, 0.3),
    row("odd", 0.03, 0.5, limit=1.5),
    row("long", 0.5, 0.5),
    row("very_long", 0.7, 0.1, limit=0.0),
)


def random_figures(seed: int) -> np.ndarray:
    """(STEPS, rows, ROBOTS) that stay on one side of the limits for a while, with NaN among them."""
    rng = np.random.default_rng(seed)
    figures = np.zeros((STEPS, len(TABLE), ROBOTS), np.float32)
    for t in range(1, STEPS):
        figures[t] = 0.93 * figures[t - 1] + 0.6 * rng.normal(size=figures.shape[1:])
    figures[rng.uniform(size=figures.shape) < 0.02] = np.nan
    return figures


def judge_of(device: str = "cpu") -> BatchedJudge:
    return BatchedJudge(TABLE, thresholds_of(TABLE), ROBOTS, PERIOD, torch.device(device))


def trips_of(judge: BatchedJudge, figures: np.ndarray) -> np.ndarray:
    return np.stack([judge.judge(torch.from_numpy(step)).numpy() for step in figures])


def supervised(figures: np.ndarray) -> np.ndarray:
    """The same by `deploy_robot.judge`, robot by robot, at the rate of a supervisor that sees each sample often."""
    trips = np.zeros(figures.shape, bool)
    often = round(PERIOD / SUPERVISOR_PERIOD)
    thresholds = thresholds_of(TABLE)
    for r, constraint in enumerate(TABLE):
        for n in range(figures.shape[2]):
            one = Row(constraint, thresholds[constraint.name])
            for t, value in enumerate(figures[:, r, n]):
                reading = SimpleNamespace(limits=None, **{constraint.name: value})
                for _ in range(often):
                    trips[t, r, n] |= one.judge(reading, True, SUPERVISOR_PERIOD, SUPERVISOR_PERIOD)  # type: ignore[arg-type]
    return trips


@pytest.mark.parametrize("seed", range(3))
def test_trips_are_those_of_the_supervisor(seed: int) -> None:
    figures = random_figures(seed)
    trips = trips_of(judge_of(), figures)
    assert (trips == supervised(figures)).all()
    assert (trips.sum(axis=(0, 2)) > 0).all(), "every row has tripped somewhere"


def test_a_number_that_is_none_trips() -> None:
    judge = judge_of()
    nothing = torch.full((len(TABLE), ROBOTS), torch.nan)
    tripped = sum(judge.judge(nothing).int() for _ in range(50))
    assert (tripped == 1).all()


@pytest.mark.parametrize("constraint", TABLE, ids=lambda constraint: constraint.name)
def test_how_many_samples_trip(constraint: Constraint) -> None:
    needed = samples_to_trip(constraint, PERIOD)
    judge = BatchedJudge((constraint,), thresholds_of(TABLE), 1, PERIOD, torch.device("cpu"))
    bad = torch.full((1, 1), 9.0)
    assert [bool(judge.judge(bad)) for _ in range(needed)] == [False] * (needed - 1) + [True]


def test_a_robot_that_begins_anew_has_no_past() -> None:
    judge = judge_of()
    bad, good = torch.full((len(TABLE), ROBOTS), 9.0), torch.full((len(TABLE), ROBOTS), -9.0)
    for _ in range(40):
        judge.judge(bad)
    first = torch.arange(ROBOTS) == 0
    judge.forget(first)
    assert not judge.pending[:, 0].any()
    judge.judge(good)
    again = judge.judge(bad)
    assert again[0].all(), "released at once"
    assert again[1:].sum() == 0
    later = judge.judge(bad)
    assert later[1].tolist() == [True] + [False] * (ROBOTS - 1), "the others have not been released"


def test_it_goes_on_bit_for_bit() -> None:
    figures = random_figures(5)
    whole = trips_of(judge_of(), figures)
    before, after = judge_of(), judge_of()
    first = trips_of(before, figures[:150])
    trips_of(after, random_figures(6)[:30])
    after.load_state_dict(before.state_dict())
    assert (np.concatenate([first, trips_of(after, figures[150:])]) == whole).all()
