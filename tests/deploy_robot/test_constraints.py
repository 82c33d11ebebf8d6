"""Every row of the constraint table: what trips it, what just does not, how it ends, and that it is needed."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import toy_policy
from supervised_robot import DT, GO2, PERIOD, SupervisedRobot, rolled

from contract.errors import BundleError
from deploy_robot.constraint import Constraint, Reaction, Reading, Scope
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.decision import Mode
from deploy_robot.thresholds import thresholds_of

ROWS = {row.name: row for row in CONSTRAINTS}
EPS = 1e-3

Fault = Callable[[SupervisedRobot, float], None]


@dataclass(frozen=True)
class Scenario:
    """How a row is violated.

    Attributes:
        inject: breaks the robot, whose figure shall become `share` times the row's limit (any number above one
            for rows that permit none), and runs it for as long as a violation takes to trip.
        heal: ends it.
        mode: in which that happens.
    """

    inject: Fault
    heal: Callable[[SupervisedRobot], None] = lambda robot: None
    mode: Mode = Mode.ACTIVE


def persist(robot: SupervisedRobot, name: str) -> None:
    """Run for the row's trip time and the step in which the violation is first seen."""
    robot.run(ROWS[name].trip_after + DT)


def operator_stop(robot: SupervisedRobot, share: float) -> None:
    if share > 1.0:
        robot.request("stop")
    robot.step()


def finite_state(robot: SupervisedRobot, share: float) -> None:
    robot.gyro[1] = math.nan if share > 1.0 else 1e300
    robot.step()


def heal_gyro(robot: SupervisedRobot) -> None:
    robot.gyro[1] = 0.0


def silent_robot(name: str) -> Fault:
    def inject(robot: SupervisedRobot, share: float) -> None:
        robot.sends_states = False
        whole_steps = math.floor(ROWS[name].limit / DT + 1e-6)
        robot.run((whole_steps + (1 if share > 1.0 else -1)) * DT)

    return inject


def send_states(robot: SupervisedRobot) -> None:
    robot.sends_states = True


def frozen_state(robot: SupervisedRobot, share: float) -> None:
    robot.varies = False
    # The first such sample still differs from the one before.
    robot.run(ROWS["frozen_state"].limit + (2 if share > 1.0 else 0) * DT)


def thaw(robot: SupervisedRobot) -> None:
    robot.varies = True


def imu_norm(robot: SupervisedRobot, share: float) -> None:
    robot.imu_quat = (1.0 + share * ROWS["imu_norm"].limit) * rolled(0.3)
    persist(robot, "imu_norm")


def tilt(robot: SupervisedRobot, share: float) -> None:
    robot.imu_quat = rolled(share * ROWS["tilt"].limit, axis=1)
    persist(robot, "tilt")


def level(robot: SupervisedRobot) -> None:
    robot.imu_quat = rolled(0.0)


def joint_position(robot: SupervisedRobot, share: float) -> None:
    robot.follows = False
    robot.joint_pos[4] = GO2.joint_upper[4] + share * ROWS["joint_position"].limit
    persist(robot, "joint_position")


def back_in_range(robot: SupervisedRobot) -> None:
    robot.joint_pos[4] = GO2.default_joint_pos[4]


def joint_velocity(robot: SupervisedRobot, share: float) -> None:
    robot.joint_vel[2] = -share * GO2.joint_velocity_limit[2] * ROWS["joint_velocity"].limit
    persist(robot, "joint_velocity")


def rest(robot: SupervisedRobot) -> None:
    robot.joint_vel[:] = 0.0


def joint_torque(robot: SupervisedRobot, share: float) -> None:
    robot.joint_torque[11] = -share * GO2.joint_effort_limit[11] * ROWS["joint_torque"].limit
    persist(robot, "joint_torque")


def unload(robot: SupervisedRobot) -> None:
    robot.joint_torque[:] = 0.0


def stand_up(robot: SupervisedRobot, share: float) -> None:
    robot.follows = False  # as if a leg were blocked
    robot.run(0.5 + ROWS["stand_up"].limit + (2 if share > 1.0 else 1) * DT)


def clock(robot: SupervisedRobot, share: float) -> None:
    steps = int(ROWS["clock"].limit)
    for _ in range(steps + 1 if share > 1.0 else steps):
        robot.step(0.0)


def late_step(robot: SupervisedRobot, share: float) -> None:
    robot.step(share * ROWS["late_step"].limit)


def finite_target(robot: SupervisedRobot, share: float) -> None:
    robot.target_pos[7] = -math.inf if share > 1.0 else GO2.default_joint_pos[7] + 0.1
    robot.run(PERIOD)


def sane_target(robot: SupervisedRobot) -> None:
    robot.target_pos[:] = GO2.default_joint_pos


def silent_policy(name: str) -> Fault:
    def inject(robot: SupervisedRobot, share: float) -> None:
        robot.step(PERIOD)  # a target has just come
        robot.sends_targets = False
        steps = round(ROWS[name].limit * PERIOD / DT)
        robot.run((steps + (1 if share > 1.0 else -1)) * DT)

    return inject


def send_targets(robot: SupervisedRobot) -> None:
    robot.sends_targets = True


def late_target(robot: SupervisedRobot, share: float) -> None:
    assert robot.target is not None
    # The policy goes on, but it is stuck with one sensor sample.
    robot.target_stamp = robot.target.stamp
    steps = round((robot.target.stamp + ROWS["late_target"].limit * PERIOD - robot.now) / DT)
    robot.run((steps + (1 if share > 1.0 else -1)) * DT)


def prompt_targets(robot: SupervisedRobot) -> None:
    robot.target_stamp = None


def target_outside(name: str) -> Fault:
    def inject(robot: SupervisedRobot, share: float) -> None:
        robot.target_pos[3] = GO2.joint_lower[3] - share * ROWS[name].limit
        robot.run(PERIOD)

    return inject


def target_slew(robot: SupervisedRobot, share: float) -> None:
    robot.target_pos[5] -= share * ROWS["target_slew"].limit * GO2.joint_velocity_limit[5] * PERIOD
    robot.run(PERIOD)


SCENARIOS = {
    "operator_stop": Scenario(operator_stop),
    "finite_state": Scenario(finite_state, heal_gyro),
    "stale_state": Scenario(silent_robot("stale_state"), send_states),
    "lost_robot": Scenario(silent_robot("lost_robot"), send_states),
    "frozen_state": Scenario(frozen_state, thaw),
    "imu_norm": Scenario(imu_norm, level),
    "tilt": Scenario(tilt, level),
    "joint_position": Scenario(joint_position, back_in_range),
    "joint_velocity": Scenario(joint_velocity, rest),
    "joint_torque": Scenario(joint_torque, unload),
    "stand_up": Scenario(stand_up, mode=Mode.STANDING_UP),
    "clock": Scenario(clock),
    "late_step": Scenario(late_step, mode=Mode.READY),
    "finite_target": Scenario(finite_target, sane_target),
    "lost_policy": Scenario(silent_policy("lost_policy"), send_targets),
    "dead_policy": Scenario(silent_policy("dead_policy"), send_targets),
    "late_target": Scenario(late_target, prompt_targets),
    "wild_target": Scenario(target_outside("wild_target"), sane_target),
    "target_position": Scenario(target_outside("target_position"), sane_target),
    "target_slew": Scenario(target_slew),
}

NAMES = list(ROWS)


def violate(name: str, share: float, table: tuple[Constraint, ...] = CONSTRAINTS) -> SupervisedRobot:
    """A robot whose figure has been `share` times the row's limit."""
    scenario = SCENARIOS[name]
    robot = SupervisedRobot(table=table).bring_to(scenario.mode)
    scenario.inject(robot, share)
    return robot


def check_trips(name: str, table: tuple[Constraint, ...] = CONSTRAINTS) -> SupervisedRobot:
    """Violate a row slightly, and see that it trips and that the robot is in the state that its reaction means."""
    robot = violate(name, 1.0 + EPS, table)
    trips = [trip for trip in robot.trips if trip.constraint == name]
    assert len(trips) == 1
    assert trips[0].reaction is ROWS[name].reaction
    assert trips[0].message.startswith(f"{name}: ")
    match ROWS[name].reaction:
        case Reaction.CLIP:
            assert robot.mode is SCENARIOS[name].mode
            assert robot.decision.reaction is Reaction.CLIP
        case Reaction.HOLD:
            assert robot.mode is Mode.HOLD
        case Reaction.DAMP:
            assert robot.mode is Mode.DAMP
        case Reaction.STOP:
            assert robot.mode is Mode.STOPPED
    if ROWS[name].reaction >= Reaction.DAMP:
        assert not robot.decision.command.kp.any()
        assert robot.decision.command.kd.all()
    return robot


def check_passes_just_inside(name: str, table: tuple[Constraint, ...] = CONSTRAINTS) -> None:
    robot = violate(name, 1.0 - EPS, table)
    assert name not in robot.tripped()
    assert not any(cause.startswith(f"{name}: ") for cause in robot.decision.causes)


def mutated(name: str, figure: Callable[[Reading], object]) -> tuple[Constraint, ...]:
    """The table with another figure in one row."""
    return tuple(
        dataclasses.replace(row, figure=figure, joints=False) if row.name == name else row for row in CONSTRAINTS
    )


def test_every_row_has_a_scenario_and_every_scenario_a_row() -> None:
    assert list(SCENARIOS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_violation_trips(name: str) -> None:
    check_trips(name)


@pytest.mark.parametrize("name", NAMES)
def test_just_inside_the_limit_nothing_trips(name: str) -> None:
    check_passes_just_inside(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_check_that_is_always_satisfied_would_be_noticed(name: str) -> None:
    with pytest.raises(AssertionError):
        check_trips(name, mutated(name, lambda reading: -1.0))


@pytest.mark.parametrize("name", NAMES)
def test_a_check_that_is_negated_would_be_noticed(name: str) -> None:
    row = ROWS[name]
    limit = thresholds_of(CONSTRAINTS)[name].value

    def negated(reading: Reading) -> float:
        return -1.0 if not row.worst(reading) <= limit else math.inf

    with pytest.raises(AssertionError):
        check_passes_just_inside(name, mutated(name, negated))


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_that_is_not_a_number_trips(name: str) -> None:
    broken = [False]
    robot = SupervisedRobot(table=mutated(name, lambda reading: math.nan if broken[0] else 0.0)).bring_to(Mode.ACTIVE)
    broken[0] = True
    persist(robot, name)
    assert name in robot.tripped()


@pytest.mark.parametrize("name", [name for name in NAMES if ROWS[name].trip_after > 0.0])
def test_a_violation_shorter_than_its_trip_time_passes(name: str) -> None:
    scenario = SCENARIOS[name]
    robot = SupervisedRobot(
        table=tuple(
            dataclasses.replace(row, trip_after=row.trip_after + 2 * DT) if row.name == name else row
            for row in CONSTRAINTS
        )
    ).bring_to(scenario.mode)
    for _ in range(3):
        scenario.inject(robot, 1.0 + EPS)
        scenario.heal(robot)
        robot.run(2 * DT)
    assert name not in robot.tripped()


@pytest.mark.parametrize("name", [name for name in NAMES if ROWS[name].reaction <= Reaction.HOLD])
def test_clip_and_hold_end_by_themselves_once_the_cause_is_over_for_the_release_time(name: str) -> None:
    scenario, row = SCENARIOS[name], ROWS[name]
    robot = check_trips(name)
    mode_in_force = robot.mode
    robot.follows = True
    scenario.heal(robot)
    while any(cause.startswith(f"{name}: ") and "over for" not in cause for cause in robot.decision.causes):
        assert robot.mode is mode_in_force
        robot.step()
    robot.run(row.release_after - 2 * DT)
    assert robot.decision.reaction >= row.reaction
    assert robot.mode is mode_in_force
    robot.run(1.0)
    assert robot.decision.reaction is Reaction.NONE
    assert robot.mode is scenario.mode
    assert not robot.decision.causes


LATCHING = [name for name in NAMES if ROWS[name].reaction >= Reaction.DAMP]


@pytest.mark.parametrize("name", LATCHING)
def test_damp_and_stop_never_end_by_themselves(name: str) -> None:
    robot = check_trips(name)
    mode = robot.mode
    SCENARIOS[name].heal(robot)
    robot.run(3.0, dt=0.01)
    assert robot.mode is mode
    assert any(cause.startswith(f"{name}: ") for cause in robot.decision.causes)
    for request in ("stand", "sit", "arm", "pause"):
        robot.refuse(request)
        robot.step()
    assert robot.mode is mode
    assert not robot.decision.command.kp.any()


# These are over as soon as the robot damps: it no longer stands up, nobody asks again, the clock goes on.
ENDS_AT_ONCE = ("operator_stop", "stand_up", "clock")


@pytest.mark.parametrize("name", LATCHING)
def test_reset_is_refused_while_the_cause_stands_and_starts_no_motion(name: str) -> None:
    robot, row = check_trips(name), ROWS[name]
    mode = robot.mode
    if name not in ENDS_AT_ONCE:
        assert name in robot.refuse("reset")
        robot.run(1.0)
        assert name in robot.refuse("reset")
        SCENARIOS[name].heal(robot)
        robot.step()
    if row.release_after > 0.0:
        robot.run(row.release_after - 3 * DT)
        assert name in robot.refuse("reset")
        assert robot.mode is mode
    robot.run(1.0)
    robot.accept("reset")
    for _ in range(100):
        decision = robot.step()
        assert decision.mode is Mode.PASSIVE
        assert not decision.command.kp.any()


def test_reactions_are_ordered() -> None:
    assert Reaction.NONE < Reaction.CLIP < Reaction.HOLD < Reaction.DAMP < Reaction.STOP


def test_the_most_severe_reaction_wins_whatever_the_order() -> None:
    severe_first = SupervisedRobot().bring_to(Mode.ACTIVE)
    severe_first.request("stop")
    severe_first.imu_quat = rolled(1.5)
    severe_first.target_pos[0] = math.nan
    severe_first.run(0.1)
    assert severe_first.mode is Mode.STOPPED
    assert {"operator_stop", "tilt"} <= set(severe_first.tripped())

    mild_first = SupervisedRobot().bring_to(Mode.ACTIVE)
    modes = []
    for fault in (target_slew, finite_target, tilt, operator_stop):
        fault(mild_first, 2.0)
        modes.append(mild_first.mode)
    assert modes == [Mode.ACTIVE, Mode.HOLD, Mode.DAMP, Mode.STOPPED]


def test_rows_about_the_policy_are_silent_while_it_does_not_drive() -> None:
    robot = SupervisedRobot().bring_to(Mode.READY)
    robot.target_pos[:] = math.nan
    robot.sends_targets = True
    robot.run(0.2)
    robot.sends_targets = False
    robot.run(2.0)
    assert robot.mode is Mode.READY
    assert not robot.trips


def test_one_unsound_sample_holds_and_many_damp() -> None:
    once = SupervisedRobot().bring_to(Mode.ACTIVE)
    finite_state(once, 2.0)
    heal_gyro(once)
    once.run(1.0)
    assert once.tripped() == ["finite_state"]
    assert once.mode is Mode.ACTIVE
    forever = SupervisedRobot().bring_to(Mode.ACTIVE)
    finite_state(forever, 2.0)
    forever.run(ROWS["lost_robot"].limit + 2 * DT)
    assert forever.tripped() == ["finite_state", "stale_state", "lost_robot"]
    assert forever.mode is Mode.DAMP


@pytest.mark.parametrize("frozen", ["joints", "imu"])
def test_half_of_the_sensors_freezing_is_enough(frozen: str) -> None:
    robot = SupervisedRobot().bring_to(Mode.READY)
    robot.varies = False
    for k in range(50):
        if frozen == "imu":
            robot.joint_vel[0] = 1e-6 * k
        else:
            robot.gyro[0] = 1e-6 * k
        robot.step()
    assert robot.tripped() == ["frozen_state"]


def test_message_names_figure_joint_and_limit() -> None:
    trip = check_trips("joint_velocity").trips[0]
    assert trip.message == "joint_velocity: FL_calf_joint 1 x velocity limit, limit 1"
    message = violate("tilt", 1.2).trips[0].message
    assert message == "tilt: 1.2 rad, limit 1"
    assert check_trips("operator_stop").trips[0].message == "operator_stop: the test wants it"


def test_rows_say_how_they_end() -> None:
    for row in CONSTRAINTS:
        assert row.meaning.endswith(".")
        assert ("reset" in row.clears) == (row.reaction >= Reaction.DAMP)
        assert (row.scope is Scope.POLICY) == ("target" in row.name or "policy" in row.name)


def test_a_bundle_tightens_limits() -> None:
    contract = dataclasses.replace(toy_policy.contract(), monitors={"tilt": 0.5, "lost_policy": 2.0})
    thresholds = thresholds_of(CONSTRAINTS, contract)
    assert thresholds["tilt"].value == 0.5
    assert thresholds["tilt"].source == "bundle"
    assert thresholds["lost_policy"].value == pytest.approx(2.0 * contract.control_period)
    assert thresholds["lost_policy"].unit == "s"
    assert thresholds["imu_norm"].source == "default"
    robot = SupervisedRobot(toy_policy.ROBOT, contract).bring_to(Mode.ACTIVE)
    robot.imu_quat = rolled(0.6)
    robot.run(0.1)
    assert robot.tripped() == ["tilt"]


@pytest.mark.parametrize("value", [1.01, -0.1, math.nan, math.inf])
def test_a_bundle_cannot_loosen_a_limit(value: float) -> None:
    contract = dataclasses.replace(toy_policy.contract(), monitors={"tilt": value})
    with pytest.raises(BundleError, match=r"monitors\.tilt: .* only tighten"):
        thresholds_of(CONSTRAINTS, contract)


def test_a_bundle_cannot_set_an_unknown_limit() -> None:
    contract = dataclasses.replace(toy_policy.contract(), monitors={"tlit": 0.5})
    with pytest.raises(BundleError, match=r"monitors\.tlit: no such constraint.*tilt"):
        thresholds_of(CONSTRAINTS, contract)


def test_joint_limits_come_from_the_bundle_where_it_is_tighter() -> None:
    contract = dataclasses.replace(toy_policy.contract(), velocity_limit=(5.0, 20.0))
    robot = SupervisedRobot(toy_policy.ROBOT, contract).bring_to(Mode.ACTIVE)
    robot.joint_vel[0] = 6.0
    robot.run(0.1)
    assert robot.tripped() == ["joint_velocity"]
    contract = dataclasses.replace(toy_policy.contract(), action_lower=(0.0, -1.0), action_upper=(0.5, 0.0))
    robot = SupervisedRobot(toy_policy.ROBOT, contract).bring_to(Mode.ACTIVE)
    robot.target_pos = np.array([0.6, -0.6])
    robot.run(0.1)
    assert robot.tripped() == ["target_position"]
    assert robot.decision.command.joint_target.tolist() == [0.5, -0.6]
