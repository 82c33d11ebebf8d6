"""How far two engines part in one control period from equal states, against what training has seen.

Four yardsticks: how exactly an engine can be put into a state at all (`reset`), how much it changes when its own
physics step is halved (`step`), how widely training randomised it (`trained`), how much a period moves (`change`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.gap.response import Response
from policies.gap.state import State
from sim.env import CONTACT_FORCE

Floats = NDArray[np.float64]

CHANNELS = {
    "base velocity": "m/s",
    "base rotation": "rad/s",
    "joint velocity": "rad/s",
    "torque": "N m",
    "contact": "N",
}
MOTION = ("base velocity", "base rotation", "joint velocity", "torque")
"""Channels by which engines are compared; contact forces of rigid feet say little in one instant."""


@dataclass(frozen=True)
class Difference:
    """Root mean squares over states and components, in `unit`; NaN where not measured.

    Attributes:
        where: `ground`, from the states of the run, or `air`, from random states without contact.
        size: one engine minus the other. change: what a period changes at all.
        reset, step, trained: the yardsticks.
        worst: component in which the two differ most.
    """

    where: str
    channel: str
    unit: str
    size: float
    change: float
    reset: float
    step: float
    trained: float
    worst: str

    @property
    def of_trained(self) -> float:
        """The difference over that between robots of training; NaN where training varied nothing."""
        return self.size / self.trained if self.trained > 0.0 else float("nan")


@dataclass(frozen=True, eq=False)
class Pair:
    """Responses to the states of the run and to random ones in the air."""

    ground: Response
    air: Response


@dataclass(frozen=True)
class Touch:
    """Periods from equal states that end with a part of the robot touching in one engine and not in the other.

    Attributes:
        earlier: share of the periods in which only the second touches. later: only the first.
        share: of the squared difference of joint velocities, that of these periods.
    """

    earlier: float
    later: float
    share: float


def touch(first: Response, second: Response) -> Touch | None:
    """How far contact is made at other times; None where an engine does not measure it."""
    if first.contact.shape != second.contact.shape or not first.contact.shape[1]:
        return None
    here, there = first.contact > CONTACT_FORCE, second.contact > CONTACT_FORCE
    apart = (here != there).any(axis=1)
    squared = np.square(second.after.joint_vel - first.after.joint_vel).sum(axis=1)
    share = float(squared[apart].sum() / squared.sum()) if squared.any() else 0.0
    return Touch(float((there & ~here).any(axis=1).mean()), float((here & ~there).any(axis=1).mean()), share)


def outcome(response: Response) -> dict[str, Floats]:
    """What a response is judged by, (M, D) each."""
    after = response.after
    return {
        "base velocity": after.root_lin_vel.astype(np.float64),
        "base rotation": after.root_ang_vel.astype(np.float64),
        "joint velocity": after.joint_vel.astype(np.float64),
        "torque": response.torque.astype(np.float64),
        "contact": response.contact.astype(np.float64),
    }


def differences(
    first: Pair,
    second: Pair,
    halved: Pair,
    trained: Pair,
    reset: Mapping[str, float],
    names: Mapping[str, tuple[str, ...]],
) -> list[Difference]:
    """Every channel on the ground and in the air. `reset` by channel, on the ground; `names` of the components."""
    rows = []
    for where in ("ground", "air"):
        start: State = getattr(first, where).start
        begun = {
            "base velocity": start.root_lin_vel,
            "base rotation": start.root_ang_vel,
            "joint velocity": start.joint_vel,
        }
        one, other, half, wide = (outcome(getattr(pair, where)) for pair in (first, second, halved, trained))
        for channel, unit in CHANNELS.items():
            if one[channel].shape != other[channel].shape or channel not in names:
                continue
            if where == "air" and channel == "contact":
                continue
            far = other[channel] - one[channel]
            each = np.sqrt(np.square(far).mean(axis=0))
            rows.append(
                Difference(
                    where,
                    channel,
                    unit,
                    size=rms(far),
                    change=rms(one[channel] - begun.get(channel, 0.0)),
                    reset=reset.get(channel, float("nan")) if where == "ground" else float("nan"),
                    step=rms(half[channel] - one[channel]),
                    trained=rms(wide[channel] - one[channel]),
                    worst=names[channel][int(each.argmax())] if each.size else "",
                )
            )
    return rows


def rms(values: Floats) -> float:
    """Root mean square over everything; 0 of nothing."""
    return float(np.sqrt(np.square(values).mean())) if values.size else 0.0
