"""What a law is, and what comes of measuring one."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.conformance.bench import Bench, Setup
from sim.conformance.errors import NotOffered
from sim.engines.engine import Engine


@dataclass(frozen=True)
class Measurement:
    """How far an engine is from a law.

    Attributes:
        deviation: largest found, in `unit`.
        tolerance: largest that numerics explain.
        unit: SI unit; `1` for a ratio or a count.
        reason: why the tolerance is what it is.
    """

    deviation: float
    tolerance: float
    unit: str
    reason: str

    @property
    def holds(self) -> bool:
        """NaN never does."""
        return self.deviation <= self.tolerance


@dataclass(frozen=True)
class Law:
    """One law.

    Attributes:
        name: as it is asked for.
        statement: what holds, in a sentence.
        setup: what engines it is measured on.
        measure: builds them on a bench, and measures.
    """

    name: str
    statement: str
    setup: Setup
    measure: Callable[[Bench], Measurement]


@dataclass(frozen=True)
class Outcome:
    """What one engine makes of one law: a measurement, or the reason why there is none.

    Attributes:
        not_offered: what the law needs and the engine declares that it does not have.
        failure: the error that the engine raised.
    """

    law: Law
    measurement: Measurement | None = None
    not_offered: str = ""
    failure: str = ""

    @property
    def holds(self) -> bool:
        """Whether the law was measured and holds."""
        return self.measurement is not None and self.measurement.holds


def law(
    setup: Setup, *parameters: str, contact_force: bool = False
) -> Callable[[Callable[[Engine], Measurement]], Law]:
    """A law of one engine, named as the function, stated as the first paragraph of its docstring.

    Args:
        setup: the engine that the function gets, see `Bench.engine`.
        parameters: those that it sets.
        contact_force: whether it reads contact forces.
    """

    def make(function: Callable[[Engine], Measurement]) -> Law:
        def measure(bench: Bench) -> Measurement:
            return function(bench.engine(setup, *parameters, contact_force=contact_force))

        return Law(function.__name__, statement_of(function), setup, measure)

    return make


def law_of_many(setup: Setup) -> Callable[[Callable[[Bench], Measurement]], Law]:
    """A law that builds engines of its own on a bench."""
    return lambda function: Law(function.__name__, statement_of(function), setup, function)


def statement_of(function: Callable[..., Measurement]) -> str:
    """First paragraph of its docstring, on one line."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def judge(one: Law, bench: Bench) -> Outcome:
    """Measure one law; an error that the engine raises is an outcome, too."""
    try:
        measurement = one.measure(bench)
    except NotOffered as missing:
        return Outcome(one, not_offered=str(missing))
    except Exception as error:  # an engine of somebody else may raise anything, and the other laws go on
        return Outcome(one, failure=f"{type(error).__name__}: {error}")
    return Outcome(one, measurement)


def worst(*parts: Tensor | NDArray[np.float64] | float) -> float:
    """Largest magnitude of all numbers; infinite where one is not a number, which `max` would pass over."""
    return max(torch.as_tensor(part).abs().nan_to_num(nan=math.inf).max().item() for part in parts)


def resolution(size: float) -> float:
    """Distance of neighbouring float32 numbers at `size`."""
    return float(np.spacing(np.float32(abs(size)))) if math.isfinite(size) else math.inf
