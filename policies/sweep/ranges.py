"""Along what a parameter is varied: offsets from the middle of its training range, in halves of that range."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain_rand.distributions import Categorical, LogUniform
from domain_rand.spec import Randomisation, Term
from sim.engines.engine import Parameter
from sim.sensors import MAX_SENSOR_DELAY

Array = NDArray[np.float64]
Limits = tuple[float, float]

# Of other parameters only those that training draws below zero have a meaning there.
_SIGNED = frozenset(
    (
        "base_com",
        "base_force",
        "base_shear",
        "base_stretch",
        "base_torque",
        "default_pose_offset",
        "encoder_offset",
        "gravity_offset",
        "gyro_bias",
        "imu_mount_rotation",
        "initial_ang_vel",
        "initial_joint_pos",
        "initial_joint_vel",
        "initial_lin_vel",
        "initial_tilt",
        "payload_mass",
        "payload_pos",
        "spawn_pos",
    )
)
_SHARES = frozenset(("action_drop", "battery_sag", "restitution", "sensor_drop"))
_DECIMALS = 9  # of an offset: two that differ by rounding are one
_ROUNDING = 1e-8  # of a training range
_LIGHTEST = 0.1  # of a body's mass: one without mass is none


@dataclass(frozen=True)
class Range:
    """A parameter's range in training, and what is physically possible at all.

    Offset 0 is the middle of `low` .. `high`, -1 and 1 are its ends; in the logarithm where `logarithmic`.

    Attributes:
        low, high: of training, in `unit`.
        lowest, highest: of what can be simulated.
    """

    parameter: str
    unit: str
    low: float
    high: float
    logarithmic: bool = False
    lowest: float = -math.inf
    highest: float = math.inf

    def value(self, offset: Array) -> Array:
        """Values (...) in `unit` at offsets (...)."""
        centre, half = self._middle()
        value = centre + half * np.asarray(offset, np.float64)
        value = np.clip(np.exp(value) if self.logarithmic else value, self.lowest, self.highest)
        # Rounding must not make something of a delay of nothing.
        near = _ROUNDING * (self.high - self.low)
        value = np.where(value - self.lowest < near, self.lowest, value)
        return np.where(self.highest - value < near, self.highest, value)

    def ends(self, reach: float) -> Limits:
        """Offsets from -reach to reach, as far as they are possible."""
        centre, half = self._middle()
        with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of what is not above zero is no end
            limits = np.array([self.lowest, self.highest])
            lowest, highest = ((np.log(limits) if self.logarithmic else limits) - centre) / half
        return float(np.fmax(-reach, lowest)), float(np.fmin(reach, highest))

    def offsets(self, reach: float, each_side: int) -> Array:
        """Offsets of the levels, ascending, 0 among them; those beyond what is possible are one, at the limit."""
        evenly = reach * np.arange(-each_side, each_side + 1) / each_side
        return np.unique(np.clip(evenly, *self.ends(reach)).round(_DECIMALS))

    def _middle(self) -> tuple[float, float]:
        low, high = (math.log(self.low), math.log(self.high)) if self.logarithmic else (self.low, self.high)
        return 0.5 * (low + high), 0.5 * (high - low)


@dataclass(frozen=True)
class LeftOut:
    """A randomised parameter that is not varied, and why."""

    parameter: str
    reason: str


def ranges(
    randomisation: Randomisation,
    parameters: Mapping[str, Parameter],
    *,
    engine: str,
    control_period: float,
    base_mass: float,
) -> tuple[tuple[Range, ...], tuple[LeftOut, ...]]:
    """What of `randomisation` can be varied, and what cannot.

    Args:
        randomisation: of training.
        parameters: of the environment.
        engine: its name.
        control_period: s, the longest that a target may be on its way.
        base_mass: kg, the most that a payload can take away from.
    """
    found: list[Range] = []
    left_out: list[LeftOut] = []
    for term in randomisation.terms:
        reason = _unvaried(term, parameters, engine)
        if reason:
            left_out.append(LeftOut(term.parameter, reason))
            continue
        low, high = term.distribution.support
        lowest, highest = _possible(term, randomisation, control_period, base_mass)
        found.append(
            Range(
                term.parameter,
                parameters[term.parameter].unit,
                low,
                high,
                isinstance(term.distribution, LogUniform),
                min(lowest, low),
                max(highest, high),
            )
        )
    return tuple(found), tuple(left_out)


def _unvaried(term: Term, parameters: Mapping[str, Parameter], engine: str) -> str:
    """Why a term cannot be varied; empty where it can."""
    if term.parameter not in parameters:
        return f"engine {engine} cannot set it"
    if isinstance(term.distribution, Categorical):
        return "training draws it from categories, and nothing lies between or beyond them"
    low, high = term.distribution.support
    if low == high:
        return f"training always has it at {low:g}, which is no range to go beyond"
    return ""


def _possible(term: Term, randomisation: Randomisation, control_period: float, base_mass: float) -> Limits:
    """Smallest and largest value of a parameter that the environment can play."""
    name, (low, _) = term.parameter, term.distribution.support
    if name == "payload_mass":
        factors = [t.distribution.support[0] for t in randomisation.terms if t.parameter == "base_mass_factor"]
        return -(1.0 - _LIGHTEST) * base_mass * min(factors, default=1.0), math.inf
    if name in _SIGNED or low < 0.0:
        return -math.inf, math.inf
    if name in ("base_mass_factor", "link_mass_factor"):
        return _LIGHTEST, math.inf
    if name == "push_interval":  # 0 stands for no push
        return control_period, math.inf
    if name in _SHARES:
        return 0.0, 1.0
    for channel, longest in (("action", control_period), ("sensor", MAX_SENSOR_DELAY)):
        if name in (f"{channel}_delay", f"{channel}_jitter"):
            both = (f"{channel}_delay", f"{channel}_jitter")
            highest = {t.parameter: t.distribution.support[1] for t in randomisation.terms if t.parameter in both}
            # Two that have one limit together share the room that training left.
            return 0.0, highest[name] + (longest - sum(highest.values())) / len(highest)
    return 0.0, math.inf
