"""What is to be identified: parameters, which of their components share one number, and the range they may be in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.errors import UsageError
from contract.lookup import unknown
from contract.robot import Robot
from domain_rand.distributions import Uniform
from domain_rand.spec import Per, Randomisation, Term
from sim.engines.engine import Parameter

Array = NDArray[np.float64]

ACTION_DELAY, SENSOR_DELAY = "action_delay", "sensor_delay"
DELAYS = {
    ACTION_DELAY: Parameter(1, "s", 0.0, "from writing a target to its torque"),
    SENSOR_DELAY: Parameter(1, "s", 0.0, "from sampling the sensors to the time that the log gives"),
}

_FORM = re.compile(r"(?P<name>\w+)(:(?P<per>\w+))?(=(?P<low>[^,]+),(?P<high>[^,]+))?")


@dataclass(frozen=True)
class Unknown:
    """One parameter to be identified.

    Attributes:
        parameter: its name.
        unit: SI.
        labels: of its numbers, one each; a single empty one where the whole robot shares it.
        columns: which of its numbers each component of the parameter gets.
        per: what shares a number.
        prior: the term that says what is known beforehand; its range bounds the search.
    """

    parameter: str
    unit: str
    labels: tuple[str, ...]
    columns: tuple[int, ...]
    per: Per
    prior: Term

    @property
    def names(self) -> tuple[str, ...]:
        """Of its numbers, as in `motor_strength[FL_hip_joint]`."""
        return tuple(f"{self.parameter}[{label}]" if label else self.parameter for label in self.labels)

    @property
    def bounds(self) -> tuple[float, float]:
        """Of each number."""
        return self.prior.distribution.support


def known_parameters(engine_parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """What can be identified in an engine."""
    return {**engine_parameters, **DELAYS}


def parse_unknowns(
    texts: Sequence[str], parameters: Mapping[str, Parameter], prior: Randomisation, robot: Robot
) -> tuple[Unknown, ...]:
    """Unknowns from words such as `joint_damping`, `motor_strength:component`, `joint_friction:leg=0,0.5`.

    Without a range it is that of the prior's term.

    Raises:
        UsageError: a word that is none, no such parameter, one that has no range, or one that is named twice.
    """
    terms = {term.parameter: term for term in prior.terms}
    found: dict[str, Unknown] = {}
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"--parameters {text}: must be NAME, NAME:PER or NAME:PER=LOW,HIGH")
        name, low, high = match["name"], match["low"], match["high"]
        if name not in parameters:
            raise unknown("parameter", name, parameters)
        if name in found:
            raise UsageError(f"--parameters {name}: named twice")
        per = _per(match["per"] or Per.ROBOT.value, text)
        if low is not None:
            try:
                term = Term(name, Uniform(float(low), float(high)), per)
            except ValueError:
                raise UsageError(f"--parameters {text}: its range must be two numbers LOW,HIGH, rising") from None
        elif name in terms:
            term = terms[name]
        else:
            raise UsageError(f"--parameters {name}: the prior has no range for it: give one, as in {name}=LOW,HIGH")
        if not term.distribution.support[0] < term.distribution.support[1]:
            raise UsageError(f"--parameters {text}: its range must have a width")
        labels, columns = _shares(parameters[name], per, robot, text)
        found[name] = Unknown(name, parameters[name].unit, labels, columns, per, term)
    if not found:
        raise UsageError("--parameters: name at least one parameter to identify")
    return tuple(found.values())


def _per(text: str, where: str) -> Per:
    if text not in {per.value for per in Per}:
        raise UsageError(f"--parameters {where}: {text} is none of {', '.join(per.value for per in Per)}")
    return Per(text)


def _shares(parameter: Parameter, per: Per, robot: Robot, where: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Labels of the numbers, and which one each component gets."""
    if per is Per.ROBOT or parameter.size == 1:
        return ("",), (0,) * parameter.size
    if per is Per.COMPONENT:
        if parameter.size == robot.num_joints and (parameter.legs == robot.legs or not parameter.legs):
            labels = robot.joint_names
        elif parameter.size == len(parameter.legs):
            labels = parameter.legs
        else:
            labels = ("x", "y", "z") if parameter.size == 3 else tuple(map(str, range(parameter.size)))
        return labels, tuple(range(parameter.size))
    if not all(parameter.legs):
        raise UsageError(f"--parameters {where}: it does not belong to legs that are known")
    legs = tuple(dict.fromkeys(parameter.legs))
    return legs, tuple(legs.index(leg) for leg in parameter.legs)


def values_of(unknowns: Sequence[Unknown], x: Array) -> dict[str, Array]:
    """Values (C, size) of each parameter from scaled numbers (C, P), 0 at a prior's lower bound and 1 at its upper."""
    values, first = {}, 0
    for item in unknowns:
        low, high = item.bounds
        numbers = low + (high - low) * x[:, first : first + len(item.labels)]
        values[item.parameter] = numbers[:, np.array(item.columns)]
        first += len(item.labels)
    return values
