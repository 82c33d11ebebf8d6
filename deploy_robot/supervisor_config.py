"""How the supervisor moves the robot on its own, and when it lets a policy take over.

`settle_speed`, `stand_stiffness` and `gain_time` were chosen by cutting off a policy that walks the emulated Go2 at
0.8 m/s, at eight phases of its stride: with these the base leaned by 0.23 rad at most, with 3 rad/s and the policy's
gains it leaned by 0.7 rad, and frozen in its last pose it fell in half of the trials.
"""

from dataclasses import dataclass


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
