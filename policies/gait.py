"""A gait clock and the joint motion that it suggests, which a policy modulates.

Learning to step from white noise is most of the cost of learning to walk. A policy that starts from a stepping robot
only has to learn where to step (Iscen et al. 2018, "Policies modulating trajectory generators").
"""

from dataclasses import dataclass

from contract.errors import UsageError


@dataclass(frozen=True)
class GaitConfig:
    """A periodic offset on the joint targets: amplitude * sin^2(2 pi p) where p < 1/2, else none.

    `p` is the clock's phase plus the joint's own, modulo one. The offset is absent while the command is to stand.

    Attributes:
        period: s.
        amplitude: rad, one a joint.
        phase: of each joint, in periods.
        moving: norm of the command above which the robot is asked to move.
    """

    period: float
    amplitude: tuple[float, ...]
    phase: tuple[float, ...]
    moving: float

    def __post_init__(self) -> None:
        if not self.period > 0.0:
            raise UsageError(f"gait.period: must be above 0 s, got {self.period}")
        if len(self.amplitude) != len(self.phase):
            raise UsageError(f"gait: {len(self.amplitude)} amplitudes but {len(self.phase)} phases; one a joint each")


def alternating(
    leg_amplitude: tuple[float, ...], leg_phases: tuple[float, ...], *, period: float, moving: float
) -> GaitConfig:
    """The same lift in every leg, `leg_amplitude` in rad a joint, each leg at its own phase of `leg_phases`."""
    return GaitConfig(
        period=period,
        amplitude=leg_amplitude * len(leg_phases),
        phase=tuple(phase for phase in leg_phases for _ in leg_amplitude),
        moving=moving,
    )
