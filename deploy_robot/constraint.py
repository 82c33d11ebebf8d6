"""What a safety constraint is: a figure, a limit, and what happens when `figure <= limit` does not hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

import numpy as np

from deploy_robot import monitors
from deploy_robot.limits import Limits

PERIODS = "control periods"


class Reaction(IntEnum):
    """What a violated constraint causes, mild to severe; the most severe one wins."""

    NONE = 0
    CLIP = 1  # the command is cut back to what is permitted, and the policy goes on
    HOLD = 2  # the policy is cut off and the robot holds its start pose, until the cause is over
    DAMP = 3  # the joints only damp, until an accepted reset
    STOP = 4  # as damp, by an order or for a cause that leaves no doubt


class Scope(Enum):
    """When a constraint is judged."""

    ROBOT = "always"
    POLICY = "policy drives"


@dataclass(slots=True)
class Reading:
    """All that a constraint may look at. Arrays may have leading axes, e.g. of environments; times in s.

    What is None was not reported, or is not known: rows that need it are not judged.
    """

    limits: Limits
    joint_pos: Any  # (..., num_joints) rad, of the newest sound sample, as all sensor values here
    joint_vel: Any  # (..., num_joints) rad/s
    joint_torque: Any  # (..., num_joints) N m
    imu_quat: Any  # (..., 4) w, x, y, z, world_from_imu
    state_faults: Any  # numbers of the newest sample that are not usable, of any age
    state_age: Any  # since the newest sound sample was taken
    state_frozen: Any  # for how long new samples have brought the same joint or the same IMU values
    target: Any  # (..., num_joints) rad, the newest sound one
    previous_target: Any  # (..., num_joints) rad, the one before
    target_interval: Any  # between those two, not below a control period
    target_faults: Any  # numbers of the newest target that are not usable
    target_age: Any  # since the newest sound target was received
    target_delay: Any  # since the sensor sample was taken that it was made from
    step_time: Any  # since the last step of the supervisor
    clock_faults: Any  # steps in a row in which the clock did not advance
    stand_overdue: Any  # since the end of the stand-up motion without being near the start pose
    stop_requests: Any  # since the last step
    stop_reason: str  # of the newest of them
    holds: Any = 0  # how often the policy was cut off within the last seconds, see `supervisor_config`
    gyro: Any = None  # (..., 3) rad/s, IMU frame
    temperature: Any = None  # (..., num_joints) degrees Celsius
    battery: Any = None  # charge from 0 to 1
    foot_force: Any = None  # (..., num_feet) N
    command: Any = None  # (..., elements) what the operator asks the policy for, before it is brought into range
    # What several constraints ask for, once one has.
    _points: Any = field(default=None, init=False, repr=False, compare=False)
    _world_up: Any = field(default=None, init=False, repr=False, compare=False)
    _target_excess: Any = field(default=None, init=False, repr=False, compare=False)

    def points(self) -> Any:
        """Points of `limits.geometry`, (..., points, 3) m in the base frame."""
        if self._points is None:
            assert self.limits.geometry is not None
            self._points = self.limits.geometry.points(self.joint_pos)
        return self._points

    def world_up(self) -> Any:
        """The world's up axis, (..., 3) in the IMU frame."""
        if self._world_up is None:
            self._world_up = monitors.world_up(self.imu_quat)
        return self._world_up

    def target_excess(self) -> Any:
        """How far the target is outside its limits, (..., num_joints) rad, negative inside."""
        if self._target_excess is None:
            self._target_excess = monitors.beyond_range(self.target, self.limits.target_lower, self.limits.target_upper)
        return self._target_excess


@dataclass(frozen=True)
class Constraint:
    """One row.

    Attributes:
        name: identifier, also the key of its limit in a bundle's `monitors`.
        meaning: one sentence for the operator.
        figure: what is compared; (..., n) where `elements` is set or `joints`, else (...).
        limit: the default, and the largest value that a bundle may set.
        unit: of figure and limit.
        reaction: what a violation causes.
        trip_after: s that a violation must last; 0 trips on the first sample.
        release_after: s without violation until it counts as over.
        scope: when it is judged.
        joints: whether the figure has one value a joint.
        detail: what to tell the operator in place of figure and limit.
        elements: names of the figure's values, where it has several that are not of joints.
        basis: where what the figure is measured against comes from, beside the limit: "robot", "bundle", or nothing.
        needs: what must be reported or known, in words; without it the row is not judged.
        signal: field of the reading that is None where it is not reported.
        fact: whether the limits hold what it needs.
    """

    name: str
    meaning: str
    figure: Callable[[Reading], Any]
    limit: float
    unit: str
    reaction: Reaction
    trip_after: float
    release_after: float
    scope: Scope = Scope.ROBOT
    joints: bool = False
    detail: Callable[[Reading], str] | None = None
    elements: Callable[[Limits], Sequence[str]] | None = None
    basis: str = ""
    needs: str = ""
    signal: str = ""
    fact: Callable[[Limits], bool] | None = None

    def known(self, limits: Limits) -> bool:
        """Whether enough is known of the robot and the policy for this row."""
        return self.fact is None or self.fact(limits)

    def judged(self, reading: Reading) -> bool:
        """Whether all is there that this row needs."""
        return (not self.signal or getattr(reading, self.signal) is not None) and self.known(reading.limits)

    def names(self, limits: Limits) -> Sequence[str]:
        """Of the values of the figure; empty where it has but one."""
        if self.joints:
            return limits.joint_names
        return self.elements(limits) if self.elements else ()

    def worst(self, reading: Reading) -> Any:
        """The figure (...), of the worst joint or element where it has several."""
        figure = self.figure(reading)
        return monitors.worst(figure) if self.joints or self.elements else figure

    def where(self, reading: Reading) -> str:
        """The joint or element whose figure is the worst; empty where it has but one."""
        names = self.names(reading.limits)
        return names[int(np.argmax(self.figure(reading)))] if names else ""  # argmax takes NaN for the largest

    @property
    def clears(self) -> str:
        """How it ends once its cause is over, in words."""
        after = f", {self.release_after:g} s later" if self.release_after else ""
        return ("by a reset" if self.reaction >= Reaction.DAMP else "by itself") + after

    @property
    def test(self) -> str:
        """The test that trips it; others beside it take the same scenario to just inside the limit and back."""
        return f"tests/deploy_robot/test_constraints.py::test_a_violation_trips[{self.name}]"
