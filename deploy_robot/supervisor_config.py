"""How the supervisor moves the robot on its own, and when it lets a policy take over.

`settle_speed`, `stand_stiffness` and `gain_time` bring an emulated Go2 whose policy is cut off in mid-stride to a
stand: slower or softer ones let it lean far over, and a robot frozen in its last pose falls.
"""

from dataclasses import dataclass

HOLD_WINDOW = 10.0  # s, in which holds count as repeated


@dataclass(frozen=True)
class SupervisorConfig:
    """Speeds, gains and tolerances; joint values hold for every joint."""

    stand_speed: float = 1.0  # rad/s, of the fastest joint while standing up or sitting down
    settle_speed: float = 12.0  # rad/s, towards the start pose when the policy is cut off or paused
    stand_stiffness: float = 2.0  # times the policy's gains: without a policy they sag too far under the weight
    gain_time: float = 0.1  # s to go from those gains to the policy's, and back
    damping: float = 2.0  # N m s/rad, while the joints damp
    start_tolerance: float = 0.35  # rad from the start pose that still count as being there
    start_tilt: float = 0.35  # rad, the most at which a policy may take over
