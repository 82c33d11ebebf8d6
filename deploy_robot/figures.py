"""What the supervisor sees, as short texts for people and tools: signals, and how far each limit is away."""

from collections.abc import Mapping

import numpy as np

from contract.rotations import euler_from_quat
from deploy_robot.constraint import Reading
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.thresholds import Threshold

MARGINS = "margins"
SIGNALS = "signals"
"""Names of the two statuses on /diagnostics."""

_SEPARATOR = " / "


def margins(reading: Reading, thresholds: Mapping[str, Threshold]) -> dict[str, str]:
    """Figure and limit of every constraint that can be judged, as `0.12 / 1 rad`, whether it counts now or not."""
    texts = {}
    with np.errstate(all="ignore"):
        for constraint in CONSTRAINTS:
            if constraint.judged(reading):
                limit = thresholds[constraint.name]
                figure = float(constraint.worst(reading))
                texts[constraint.name] = f"{figure:.3g}{_SEPARATOR}{limit.value:.3g} {limit.unit}".rstrip()
    return texts


def used(margin: str) -> float:
    """Which share of its limit a text of `margins` says is used up; infinite where a limit of zero is exceeded.

    Raises:
        ValueError: the text is none of `margins`.
    """
    figure, limit = (float(part.split()[0]) for part in margin.split(_SEPARATOR, 1))
    if limit > 0.0:
        return figure / limit
    return 0.0 if figure <= limit else float("inf")


def signals(reading: Reading) -> dict[str, str]:
    """The newest sound sample: orientation, then position, velocity and torque of each joint by name."""
    roll, pitch, yaw = euler_from_quat(reading.imu_quat)
    texts = {"roll, pitch, yaw": f"{roll:+.2f} {pitch:+.2f} {yaw:+.2f} rad"}
    if reading.battery is not None:
        texts["battery"] = f"{reading.battery:.0%}"
    joints = zip(reading.limits.joint_names, reading.joint_pos, reading.joint_vel, reading.joint_torque, strict=True)
    for name, position, velocity, torque in joints:
        texts[name] = f"{position:+.2f} rad {velocity:+.1f} rad/s {torque:+.1f} N m"
    return texts
