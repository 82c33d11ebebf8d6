"""Whatever states, targets, clocks, faults and requests come: what must never happen does not.

LANDBRIDGE_SAFETY_STEPS sets about how many steps of the supervisor are generated, and how many there were is printed:
`python -m benchmarks safety` asks for more than a million.
"""

import copy
import dataclasses
import functools
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import toy_policy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from supervised_robot import DT, SupervisedRobot, rolled

from contract.robot import Capsule, Foot, Link
from deploy_robot.constraint import Reaction
from deploy_robot.decision import DAMPED, Decision, Mode
from deploy_robot.driver import RobotState
from deploy_robot.intake import CLOCK_TOLERANCE
from deploy_robot.target import Target

STEPS = int(os.environ.get("LANDBRIDGE_SAFETY_STEPS", "8000"))
STEPS_AN_EXAMPLE = 160  # on average, measured
LONGEST_STEP = 0.02  # s that a step may count for
MOST_HOLDS, HOLD_WINDOW = 5, 10.0  # s

# The toy with all that a robot may know and report of itself: two legs that can cross, and every limit.
LEGS = ("left_joint", "right_joint")
ROBOT = dataclasses.replace(
    toy_policy.ROBOT,
    links=tuple(Link(leg, "", (0.0, side, 0.0), (1.0, 0.0, 0.0)) for leg, side in zip(LEGS, (0.1, -0.1), strict=True)),
    feet=tuple(Foot(leg, leg, leg, 0.02, leg, (0.0, 0.0, -0.28)) for leg in LEGS),
    capsules=tuple(Capsule(leg, leg, (0.0, 0.0, 0.0), (0.0, 0.0, -0.28), 0.02) for leg in LEGS),
    capsule_pairs=(LEGS,),
    base_height_minimum=0.1,
    power_limit=100.0,
    temperature_limit=80.0,
    battery_minimum=0.1,
    foot_force_limit=200.0,
)

# Where a step may lead without anybody asking for it.
BY_ITSELF = {
    Mode.PASSIVE: {Mode.PASSIVE},
    Mode.STANDING_UP: {Mode.STANDING_UP, Mode.READY, Mode.DAMP},
    Mode.READY: {Mode.READY, Mode.DAMP},
    Mode.ACTIVE: {Mode.ACTIVE, Mode.HOLD, Mode.DAMP},
    Mode.HOLD: {Mode.HOLD, Mode.ACTIVE, Mode.DAMP},
    Mode.SITTING_DOWN: {Mode.SITTING_DOWN, Mode.PASSIVE, Mode.DAMP},
    Mode.DAMP: {Mode.DAMP},
    Mode.STOPPED: {Mode.STOPPED},
}
BY_REQUEST = {
    "stand": {Mode.PASSIVE: Mode.STANDING_UP},
    "sit": dict.fromkeys((Mode.STANDING_UP, Mode.READY, Mode.HOLD), Mode.SITTING_DOWN),
    "arm": {Mode.READY: Mode.ACTIVE},
    "pause": dict.fromkeys((Mode.ACTIVE, Mode.HOLD), Mode.READY),
    "reset": dict.fromkeys((Mode.DAMP, Mode.STOPPED), Mode.PASSIVE),
}
LEAST_MODE = {Reaction.DAMP: {Mode.DAMP, Mode.STOPPED}, Reaction.STOP: {Mode.STOPPED}}


@dataclass
class Witness:
    """Watches a robot from outside, and knows nothing of how the supervisor works."""

    robot: SupervisedRobot
    steps: int = 0
    _stop_asked: bool = False
    _state_stamp: float = -math.inf  # of the newest sound state
    _joint_pos: np.ndarray | None = None  # in that state
    _target_time: float = -math.inf  # of reception of the newest sound target
    _holds: list[float] = field(default_factory=list)  # s since the policy was cut off, each time
    _times: list[float] = field(default_factory=list)
    _targets: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = self.robot.supervisor.limits
        self._slew = 2.0 * limits.joint_velocity
        self._period = limits.control_period
        self._seen = self.robot.now
        self._remember_inputs(self.robot.state, self.robot.target)

    def step(self, now: float) -> None:
        """One step of the supervisor alone, with what the robot and the policy last said."""
        robot = self.robot
        before = robot.mode
        dt = now - self._seen
        if math.isfinite(now):
            if dt < 0.0:
                self._state_stamp = self._target_time = -math.inf
            self._seen = now
        self._remember_inputs(robot.state, robot.target)
        if 0.0 < dt < math.inf:
            self._holds = [age + dt for age in self._holds]
        robot.decision = decision = robot.supervisor.step(now, robot.state, robot.target, robot.command)
        self.steps += 1
        if decision.mode in (Mode.ACTIVE, Mode.HOLD):
            assert sum(age < HOLD_WINDOW - 1e-6 for age in self._holds) <= MOST_HOLDS
        self._holds += [0.0] if before is Mode.ACTIVE and decision.mode is Mode.HOLD else []
        self._check_mode(before, decision)
        self._check_command(decision, dt if 0.0 < dt < math.inf else 0.0)
        if decision.mode is Mode.ACTIVE:
            assert self._seen - self._state_stamp <= 0.06 + 1e-9
            assert self._seen - self._target_time <= 3 * self._period + 1e-9
        self._stop_asked = False

    def request(self, name: str) -> None:
        """Make a request, and see that it does what it may do and no more."""
        robot = self.robot
        before, causes = robot.mode, robot.decision.causes
        accepted, _ = robot.request(name)
        if name == "stop":
            assert accepted
            self._stop_asked = True
            return
        assert robot.mode is (BY_REQUEST[name].get(before) if accepted else before)
        if accepted and name in ("stand", "reset"):
            standing = [cause for cause in causes if not cause.endswith(": over") and "late_step" not in cause]
            assert not standing
            assert not self._stop_asked or name == "stand"

    def _remember_inputs(self, state: object, target: object) -> None:
        latest = self._seen + CLOCK_TOLERANCE
        if (
            isinstance(state, RobotState)
            and _sound([state.joint_pos, state.joint_vel, state.imu_quat, state.gyro, state.joint_torque])
            and all(value is not None for value in (state.temperature, state.battery, state.foot_force))
            and _sound([state.temperature, state.battery, state.foot_force])
            and self._state_stamp < state.stamp <= latest
        ):
            self._state_stamp, self._joint_pos = state.stamp, state.joint_pos
        if isinstance(target, Target) and _sound([target.joint_target, target.stamp, target.received]):
            sound = max(target.received, target.stamp) <= latest
            self._target_time = max(self._target_time, target.received if sound else -math.inf)

    def _check_mode(self, before: Mode, decision: Decision) -> None:
        if self._stop_asked:
            assert decision.mode is Mode.STOPPED
        else:
            assert decision.mode in BY_ITSELF[before]
        for trip in decision.new_trips:
            assert decision.mode in LEAST_MODE.get(trip.reaction, set(Mode))
            if trip.reaction is Reaction.HOLD:
                assert decision.mode is not Mode.ACTIVE
        worst = max((trip.reaction for trip in decision.new_trips), default=Reaction.NONE)
        assert decision.reaction >= worst

    def _check_command(self, decision: Decision, dt: float) -> None:
        robot, command, limits = self.robot.robot, decision.command, self.robot.supervisor.limits
        for array in (command.joint_target, command.kp, command.kd):
            assert array.shape == (robot.num_joints,)
            assert np.isfinite(array).all()
            assert (array >= 0.0).all() or array is command.joint_target
        assert (limits.joint_lower <= command.joint_target).all()
        assert (command.joint_target <= limits.joint_upper).all()
        if decision.mode is Mode.ACTIVE:
            assert (limits.target_lower <= command.joint_target).all()
            assert (command.joint_target <= limits.target_upper).all()
        damped = decision.mode in DAMPED
        assert command.kp.any() != damped
        if damped:
            assert self._joint_pos is not None
            measured = np.clip(self._joint_pos, limits.joint_lower, limits.joint_upper)
            assert command.joint_target.tolist() == measured.tolist()
            self.check_slew()
            self._times, self._targets = [], []
        self._times.append(self._times[-1] + min(dt, LONGEST_STEP) if self._times else 0.0)
        self._targets.append(command.joint_target)

    def check_slew(self) -> None:
        """Over the motion since the joints last were damped, which is where it started."""
        times, targets = np.array(self._times), np.array(self._targets)
        for lag in [1, 2, 3, *(2**k for k in range(2, 16))]:
            if lag < len(times):
                elapsed = times[lag:] - times[:-lag]
                first = np.diff(times)[: len(elapsed)]
                # What was saved up before may be used at once, but no more than a period.
                time = elapsed - first + np.maximum(first, self._period)
                moved = np.abs(targets[lag:] - targets[:-lag])
                assert (moved <= self._slew * time[:, None] + 1e-9).all()


def _sound(values: list) -> bool:
    return all(np.isfinite(value).all() for value in values)


numbers = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 0.0]),
    st.floats(-4.0, 4.0),
    st.floats(),
)
joints = st.integers(0, 1)
Event = Callable[[Witness], None]


def go_on(count: int, dt: float) -> Event:
    def event(witness: Witness) -> None:
        robot = witness.robot
        for _ in range(count):
            robot.pass_time(dt)
            witness.step(robot.now)
            robot.obey()

    return event


def odd_clock(now: float) -> Event:
    return lambda witness: witness.step(now)


def request(names: list[str]) -> Event:
    def event(witness: Witness) -> None:
        for name in names:
            witness.request(name)

    return event


def sensor(name: str, index: int, value: float) -> Event:
    def event(witness: Witness) -> None:
        values = getattr(witness.robot, name)
        if values is not None:  # the robot has fallen silent about it
            values[index] = value

    return event


def report(name: str, value: object) -> Event:
    """What the robot says of itself, or that it says nothing of it any more."""
    return lambda witness: setattr(witness.robot, name, value)


def lean(angle: float) -> Event:
    def event(witness: Witness) -> None:
        witness.robot.imu_quat = rolled(angle)

    return event


def command(value: object) -> Event:
    """What the operator asks the policy for."""
    return lambda witness: setattr(witness.robot, "command", value)


def ask(values: tuple[float, float]) -> Event:
    def event(witness: Witness) -> None:
        witness.robot.target_pos = np.array(values)

    return event


def flag(name: str, value: bool) -> Event:
    return lambda witness: setattr(witness.robot, name, value)


def say(what: str, value: object) -> Event:
    """Something that is no state or no target, and nothing else after it until it is healed."""

    def event(witness: Witness) -> None:
        setattr(witness.robot, f"sends_{what}s", False)
        setattr(witness.robot, what, value)

    return event


def odd_target(stamp: float, received: float, values: tuple[float, float]) -> Event:
    def event(witness: Witness) -> None:
        robot = witness.robot
        robot.sends_targets = False
        robot.target = Target(robot.now + stamp, robot.now + received, np.array(values))

    return event


def spell(fault: Event, steps: int) -> Event:
    """A fault that lasts for some steps."""

    def event(witness: Witness) -> None:
        asked = witness.robot.target_pos
        fault(witness)
        go_on(steps, DT)(witness)
        witness.robot.heal()
        witness.robot.target_pos = asked

    return event


def recover(witness: Witness) -> None:
    """What an operator does after a stop, until the policy drives again."""
    witness.robot.heal()
    go_on(30, LONGEST_STEP)(witness)
    for name in ("reset", "stand", "arm"):
        witness.request(name)
        go_on(30, LONGEST_STEP)(witness)


# Around and between the limits of both joints; a free draw would mostly give 0 and 1.
angles = st.sampled_from([-1.2, -1.05, -0.95, -0.65, -0.55, -0.3, 0.0, 0.3, 0.65, 0.75, 0.95, 1.05, 1.3, 1.6])
poses = st.tuples(angles, angles) | st.tuples(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
odd_poses = st.tuples(numbers, numbers)
offsets = st.sampled_from([0.0, -0.01, -1.0, 0.01, 1.0, math.nan, math.inf]) | st.floats(-0.2, 0.2)
garbage = st.sampled_from([None, 3.0, "target", np.zeros(2), ()])
few_steps = st.integers(1, 12)
faults = st.one_of(
    st.builds(sensor, st.sampled_from(["joint_pos_error", "joint_vel", "joint_torque"]), joints, numbers),
    st.builds(sensor, st.sampled_from(["imu_quat", "gyro"]), st.integers(0, 2), numbers),
    st.builds(sensor, st.sampled_from(["temperature", "foot_force"]), joints, numbers | st.floats(50.0, 250.0)),
    st.builds(report, st.sampled_from(["battery", "temperature", "foot_force"]), st.none()),
    st.builds(report, st.just("battery"), numbers | st.floats(0.0, 1.0)),
    st.builds(lean, st.floats(-3.2, 3.2)),
    st.builds(flag, st.sampled_from(["sends_states", "sends_targets", "follows", "varies"]), st.just(False)),
    st.builds(say, st.sampled_from(["state", "target"]), garbage),
    st.builds(odd_target, offsets, offsets, poses | odd_poses),
    st.builds(ask, odd_poses),
)
odd_times = st.sampled_from([0.0, -0.001, -3.0, 0.07, 0.3, 1e6]) | st.floats(0.0, 0.3)
commands = st.none() | st.tuples(numbers) | garbage
events = st.one_of(
    st.builds(command, commands),
    st.builds(ask, poses),
    st.builds(ask, poses),
    st.builds(go_on, few_steps, st.sampled_from([DT, DT, 0.001, 0.02])),
    st.builds(go_on, few_steps, st.just(DT)),
    st.builds(go_on, st.integers(1, 2), odd_times),
    st.builds(odd_clock, st.sampled_from([math.nan, math.inf, -math.inf])),
    st.builds(request, st.lists(st.sampled_from([*BY_REQUEST, "stop"]), min_size=1, max_size=3)),
    st.builds(spell, faults, st.integers(1, 60)),
    st.builds(spell, faults, few_steps),
    faults.map(lambda fault: fault),  # unmapped it would count as many times as it has alternatives
    st.just(recover),
)


@functools.cache
def robot_in(mode: Mode) -> SupervisedRobot:
    contract = dataclasses.replace(
        toy_policy.contract(), action_lower=(-0.6, -1.0), action_upper=(1.0, 0.7), joint_upper=(1.4, 1.0)
    )
    return SupervisedRobot(ROBOT, contract).bring_to(mode)


@pytest.fixture(scope="module")
def count() -> Iterator[list[int]]:
    """Steps of each plan that went through, to be told at the end."""
    steps: list[int] = []
    yield steps
    print(f"{sum(steps)} steps of the supervisor were generated")


@settings(max_examples=max(STEPS // STEPS_AN_EXAMPLE, 1), database=None)
@given(
    st.sampled_from([Mode.PASSIVE, Mode.STANDING_UP, Mode.READY, Mode.ACTIVE, Mode.ACTIVE, Mode.ACTIVE]),
    st.lists(events, min_size=10, max_size=50),
)
@example(Mode.ACTIVE, [command((math.nan,)), go_on(1, DT), command(None), go_on(1, DT)])
def test_nothing_unsafe_reaches_the_driver(count: list[int], mode: Mode, plan: list[Event]) -> None:
    witness = Witness(copy.deepcopy(robot_in(mode)))
    for event in plan:
        event(witness)
    witness.check_slew()
    count.append(witness.steps)
