"""How a commanded pose moves: within a slew limit always, and along ramps to stand up and sit down."""

from dataclasses import dataclass

import numpy as np

from deploy_robot.driver import Array


class SlewLimiter:
    """What every joint target passes last: it stays finite, within bounds, and within a slew limit.

    A policy's target jumps once a control period and then rests, while commands leave several times as often.
    So a joint that rests saves up time to move, one control period at most: a jump that the slew limit allows
    in a control period passes undistorted. Between any two commands that are t seconds apart, the target of a
    joint moves by slew * (t + period) at most.

    Args:
        slew: (num_joints,) rad/s.
        period: s, of control.
    """

    def __init__(self, slew: Array, period: float) -> None:
        self._slew = slew
        self._period = period
        self._saved = np.zeros_like(slew)  # s of motion that each joint may still use
        self.position = np.zeros_like(slew)  # rad, the last command

    def restart(self, position: Array) -> None:
        """Go on from another pose, which this keeps, nothing saved up."""
        self._keep(position)
        self._saved = np.zeros_like(self._slew)

    def move(self, goal: Array, dt: float, lower: Array, upper: Array) -> Array:
        """The command after `dt` s on the way to `goal`, within [lower, upper].

        A goal that is not finite is ignored. A position outside the bounds, as after they became tighter,
        returns to them at the slew limit.
        """
        start = self.position
        saved = np.minimum(self._saved + dt, max(self._period, dt))
        reach = self._slew * saved
        goal = np.minimum(np.maximum(goal, lower), upper)
        position = np.minimum(np.maximum(goal, start - reach), start + reach)
        position = np.where(np.isfinite(position), position, start)
        self._saved = np.maximum(saved - np.abs(position - start) / self._slew, 0.0)
        self._keep(position)
        return position

    def _keep(self, position: Array) -> None:
        position.flags.writeable = False  # it leaves inside commands, and is where the next one starts
        self.position = position


@dataclass(frozen=True, eq=False)
class Ramp:
    """A straight line in joint space that starts and ends at rest; all joints arrive together."""

    start: Array  # (num_joints,) rad
    goal: Array  # (num_joints,) rad
    duration: float  # s

    @classmethod
    def between(cls, start: Array, goal: Array, top_speed: float) -> "Ramp":
        """As fast as `top_speed` (rad/s) allows the joint with the longest way, in half a second at least."""
        return cls(start, goal, max(1.5 * float(np.abs(goal - start).max()) / top_speed, 0.5))

    def at(self, elapsed: float) -> Array:
        """The pose `elapsed` s after the start; the goal itself from `duration` on.

        The share 3 t^2 - 2 t^3 of the way has slope 0 at both ends and 1.5 in the middle.
        """
        t = min(elapsed / self.duration, 1.0)
        return self.goal if t == 1.0 else self.start + (self.goal - self.start) * (t * t * (3.0 - 2.0 * t))
