"""Every row of the constraint table: what trips it, what just does not, how it ends, and that it is needed."""

import dataclasses
import math

import numpy as np
import pytest
import toy_policy
from constraint_scenarios import (
    DEBOUNCED,
    LATCHING,
    NAMES,
    ROWS,
    SCENARIOS,
    SCOPED,
    SELF_ENDING,
    check_accepts_the_limit_itself,
    check_passes_just_inside,
    check_releases,
    check_resets,
    check_scope,
    check_short_violation_passes,
    check_trips,
    check_trips_on_nan,
    finite_state,
    finite_target,
    heal_gyro,
    operator_stop,
    target_slew,
    tilt,
    violate,
)
from supervised_robot import DT, SupervisedRobot, rolled

from contract.errors import BundleError
from deploy_robot.constraint import Reaction, Scope
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.decision import Mode
from deploy_robot.thresholds import thresholds_of


def test_every_row_has_a_scenario_and_every_scenario_a_row() -> None:
    assert list(SCENARIOS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_violation_trips(name: str, request: pytest.FixtureRequest) -> None:
    assert request.node.nodeid.endswith(ROWS[name].test.removeprefix("tests/deploy_robot/")), (
        "the table names this test"
    )
    check_trips(name)


@pytest.mark.parametrize("name", NAMES)
def test_just_inside_the_limit_nothing_trips(name: str) -> None:
    check_passes_just_inside(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_that_is_equal_to_its_limit_passes(name: str) -> None:
    check_accepts_the_limit_itself(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_that_is_not_a_number_trips(name: str) -> None:
    check_trips_on_nan(name)


@pytest.mark.parametrize("name", DEBOUNCED)
def test_a_violation_shorter_than_its_trip_time_passes(name: str) -> None:
    check_short_violation_passes(name)


@pytest.mark.parametrize("name", SELF_ENDING)
def test_clip_and_hold_end_by_themselves_once_the_cause_is_over_for_the_release_time(name: str) -> None:
    check_releases(name)


@pytest.mark.parametrize("name", SCOPED)
def test_rows_are_judged_in_the_modes_that_their_scope_names(name: str) -> None:
    check_scope(name)


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


@pytest.mark.parametrize("name", LATCHING)
def test_reset_is_refused_while_the_cause_stands_and_starts_no_motion(name: str) -> None:
    check_resets(name)


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
        assert row.scope is Scope.POLICY or not ("target" in row.name or "policy" in row.name)
        assert bool(row.needs) == (bool(row.signal) or row.fact is not None)


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
