"""When two runs part, in which signal first, and how far.

Signals are taken in the order in which one causes the next: within a control step the policy reads, asks, the motors
push, feet touch, the base moves. A difference counts once it is larger than `MARGIN` times what the sensor noise of
training does to that very signal of that robot, in the first engine: smaller ones the policy has learnt to live with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.policy_contract import Contract
from contract.robot import Robot
from contract.rotations import quat_conjugate, quat_multiply
from policies.gap.run import CLOSED, NOISY, OPEN, Run

Floats = NDArray[np.floating[Any]]

GROUPS = ("observation", "target", "torque", "contact", "base motion")
MARGIN = 3.0
_LEAST = 0.01  # of how a signal's liveliest element varies, where no noise moves the others


@dataclass(frozen=True, eq=False)
class Channel:
    """One signal in both runs.

    Attributes:
        units, elements: of each component.
        at_end: it is taken at the end of a control step, not at its start.
        first: (T, D) in the first engine. difference: (T, D) the second's minus that. tolerance: (D,).
    """

    group: str
    signal: str
    units: tuple[str, ...]
    elements: tuple[str, ...]
    at_end: bool
    first: Floats
    difference: Floats
    tolerance: Floats

    @property
    def ratio(self) -> Floats:
        """(T, D) difference over tolerance; 0 where both are 0."""
        far = np.abs(self.difference)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(far > 0.0, far / self.tolerance, 0.0)


@dataclass(frozen=True)
class Parting:
    """Where a group of signals goes beyond tolerance for the first time, and how far it gets.

    Attributes:
        loop: `closed` or `open`.
        signal, element, unit: what parts first, or what comes nearest if nothing does.
        time: s; None if it never parts. size, tolerance: then, or at the nearest.
        largest: the largest difference over tolerance of any element and time, no unit.
    """

    loop: str
    group: str
    signal: str
    element: str
    unit: str
    time: float | None
    size: float
    tolerance: float
    largest: float


def channels(first: Run, second: Run, loop: str, contract: Contract, robot: Robot) -> list[Channel]:
    """Every signal of both runs while both robots stand, `closed` or `open` loop, in causal order."""
    row = CLOSED if loop == "closed" else OPEN
    steps = max(1, min(first.steps(CLOSED), second.steps(row)))
    alive = first.alive[:steps, NOISY]

    def channel(
        group: str,
        signal: str,
        units: Sequence[str],
        elements: Sequence[str],
        ours: Floats,
        theirs: Floats,
        *,
        rotation: bool = False,
    ) -> Channel:
        minus = _turn if rotation else np.subtract
        ours, theirs = ours[:steps].astype(np.float64), theirs[:steps].astype(np.float64)
        mine = ours[:, CLOSED]
        noise = minus(ours[:, NOISY], mine[:, None])[alive]
        spread = np.sqrt(np.square(noise).mean(axis=0)) if len(noise) else np.zeros(noise.shape[-1])
        own = 0.0 if rotation else mine.std(axis=0).max()
        return Channel(
            group, signal, tuple(units), tuple(elements), group not in GROUPS[:2], mine,
            minus(theirs[:, row], mine), np.maximum(MARGIN * spread, _LEAST * own),
        )  # fmt: skip

    found = []
    for signal in contract.inputs:
        if signal.name in contract.command_ranges:
            continue
        rotation = signal.elements == ("w", "x", "y", "z")
        elements = ("x", "y", "z") if rotation else signal.elements or tuple(map(str, range(signal.shape[-1])))
        parts = signal.unit.split(", ")  # mixed vectors say one a component
        units = ["rad"] * 3 if rotation else parts if len(parts) == len(elements) else [signal.unit] * len(elements)
        ours, theirs = first.signals[signal.name], second.signals[signal.name]
        found.append(channel("observation", signal.name, units, elements, ours, theirs, rotation=rotation))
    joints = robot.joint_names
    angle = ["m" if joint.kind == "slide" else "rad" for joint in robot.joints]
    effort = ["N" if joint.kind == "slide" else "N m" for joint in robot.joints]
    if loop == "closed":
        found.append(channel("target", "joint target", angle, joints, first.target, second.target))
    found.append(channel("torque", "torque", effort, joints, first.torque, second.torque))
    if first.contact.shape == second.contact.shape and (first.contact.any() or second.contact.any()):
        found.append(
            channel(
                "contact",
                "contact force",
                ["N"] * len(first.contact_geoms),
                first.contact_geoms,
                first.contact,
                second.contact,
            )
        )
    if not robot.fixed_base:
        velocity = first.base_lin_vel, second.base_lin_vel
        height = first.after.root_pos[..., 2:], second.after.root_pos[..., 2:]
        found.append(channel("base motion", "base velocity", ["m/s"] * 3, "xyz", *velocity))
        found.append(channel("base motion", "base height", ("m",), ("z",), *height))
    return found


def partings(channels: Sequence[Channel], loop: str, period: float) -> list[Parting]:
    """One parting a group, in causal order."""
    found = []
    for group in dict.fromkeys(channel.group for channel in channels):
        mine = [channel for channel in channels if channel.group == group]
        largest = max(float(channel.ratio.max()) for channel in mine)
        # The first step beyond tolerance in any signal of the group; the farthest step where there is none.
        step, channel = min(((_first(channel), channel) for channel in mine), key=lambda item: _order(*item))
        beyond = step < len(channel.ratio)
        if not beyond:
            channel = max(mine, key=lambda c: float(c.ratio.max()))
            step = int(channel.ratio.max(axis=1).argmax())
        column = int(channel.ratio[step].argmax())
        found.append(
            Parting(
                loop,
                group,
                channel.signal,
                channel.elements[column],
                channel.units[column],
                time=(step + channel.at_end) * period if beyond else None,
                size=float(abs(channel.difference[step, column])),
                tolerance=float(channel.tolerance[column]),
                largest=largest,
            )
        )
    return found


def first_to_part(found: Sequence[Parting], period: float) -> Parting | None:
    """The cause-most of the earliest: what a step's end shows comes after what its start shows."""
    parted = [parting for parting in found if parting.time is not None]

    def order(parting: Parting) -> tuple[int, int]:
        group = GROUPS.index(parting.group)
        return round((parting.time or 0.0) / period) - (group > 1), group

    return min(parted, key=order, default=None)


def _first(channel: Channel) -> int:
    """Step at which any element goes beyond tolerance; the number of steps if none does."""
    beyond = channel.ratio.max(axis=1) > 1.0
    return int(beyond.argmax()) if beyond.any() else len(channel.ratio)


def _order(step: int, channel: Channel) -> tuple[int, float]:
    return step, -float(channel.ratio[step].max()) if step < len(channel.ratio) else 0.0


def _turn(q: Floats, reference: Floats) -> Floats:
    """Rotation vector (..., 3) rad, in the body frame, that turns `reference` into `q`."""
    turned = quat_multiply(quat_conjugate(reference), q)
    turned = turned * np.where(turned[..., :1] < 0.0, -1.0, 1.0)
    length = np.linalg.norm(turned[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(length, turned[..., :1])
    return turned[..., 1:] * np.where(length > 0.0, angle / np.maximum(length, 1e-30), 2.0)
