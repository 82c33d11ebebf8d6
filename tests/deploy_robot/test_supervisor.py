"""The supervisor's states: how they are reached and left, what is commanded in them, and odd clocks."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import toy_policy
from supervised_robot import CONFIG, DT, GO2, PERIOD, SupervisedRobot, rolled

from contract import robots
from contract.errors import BundleError
from contract.policy_contract import Contract
from deploy_robot.constraint import Reaction
from deploy_robot.decision import DAMPED, Mode
from deploy_robot.supervisor import Supervisor, SupervisorConfig
from deploy_robot.target import Target

START = GO2.default_joint_pos


def test_the_whole_way_and_back_without_a_trip() -> None:
    robot = SupervisedRobot(config=SupervisorConfig()).bring_to(Mode.STANDING_UP)
    modes = [robot.mode]

    def go(seconds: float) -> None:
        for _ in range(round(seconds / DT)):
            if robot.step().mode is not modes[-1]:
                modes.append(robot.mode)

    go(2.5)
    robot.sends_targets = True
    go(0.1)
    robot.accept("arm")
    go(0.5)
    robot.accept("pause")
    go(0.5)
    robot.accept("sit")
    go(3.0)
    assert modes == [Mode.STANDING_UP, Mode.READY, Mode.ACTIVE, Mode.READY, Mode.SITTING_DOWN, Mode.PASSIVE]
    assert not robot.trips
    assert robot.joint_pos == pytest.approx(GO2.rest_pose, abs=1e-6)


def test_passive_only_damps_and_starts_no_motion() -> None:
    robot = SupervisedRobot(sends_targets=True)
    for _ in range(300):
        decision = robot.step()
        assert decision.mode is Mode.PASSIVE
        assert not decision.command.kp.any()
        assert (decision.command.kd == CONFIG.damping).all()
        assert decision.reaction is Reaction.NONE


def test_standing_up_starts_where_the_robot_is_and_keeps_its_speed() -> None:
    config = SupervisorConfig(stand_speed=0.8)
    robot = SupervisedRobot(config=config).bring_to(Mode.PASSIVE)
    robot.joint_pos = np.array(GO2.rest_pose) + 0.05
    robot.run(0.1)
    robot.accept("stand")
    last = robot.joint_pos.copy()
    while robot.mode is Mode.STANDING_UP:
        position = robot.step().command.joint_target
        assert np.abs(position - last).max() <= config.stand_speed * DT * (1.0 + 1e-9)
        last = position
    assert robot.mode is Mode.READY
    assert last == pytest.approx(START)
    assert not robot.trips


def test_gains_of_standing_pass_slowly_into_those_of_the_policy_and_back() -> None:
    robot = SupervisedRobot().bring_to(Mode.READY)
    assert robot.decision.command.kp.tolist() == (CONFIG.stand_stiffness * GO2.kp).tolist()
    robot.sends_targets = True
    robot.run(0.1)
    robot.accept("arm")
    factors = [float(robot.step().command.kp[0] / GO2.kp[0]) for _ in range(100)]
    assert factors[-1] == 1.0
    assert robot.decision.command.kd.tolist() == GO2.kd.tolist()
    change = np.abs(np.diff([CONFIG.stand_stiffness, *factors]))
    assert change.max() <= (CONFIG.stand_stiffness - 1.0) * DT / CONFIG.gain_time + 1e-9
    robot.accept("pause")
    robot.run(0.5)
    assert robot.decision.command.kp.tolist() == (CONFIG.stand_stiffness * GO2.kp).tolist()


def test_active_follows_the_policy_exactly_within_the_limits() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    rng = np.random.default_rng(1)
    for _ in range(50):
        robot.target_pos = START + rng.uniform(-0.15, 0.15, 12)
        for _ in range(4):
            decision = robot.step()
            assert robot.target is not None
            assert decision.command.joint_target.tolist() == robot.target.joint_target.tolist()
    assert not robot.trips


def test_hold_returns_to_the_start_pose_within_its_speed() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.target_pos = START + 0.2
    robot.run(0.2)
    robot.target_pos = np.full(12, np.nan)
    robot.run(PERIOD)
    assert robot.mode is Mode.HOLD
    last = robot.decision.command.joint_target
    for _ in range(40):
        position = robot.step().command.joint_target
        assert np.abs(position - last).max() <= CONFIG.settle_speed * DT * (1.0 + 1e-9)
        last = position
    assert last.tolist() == START.tolist()


def test_hold_hands_back_to_the_policy_within_the_slew_limit() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.sends_targets = False
    robot.run(0.3)
    assert robot.mode is Mode.HOLD
    robot.sends_targets = True
    robot.target_pos = np.clip(START + 10.0, GO2.joint_lower, GO2.joint_upper)
    positions = [robot.decision.command.joint_target]
    while robot.mode is Mode.HOLD:
        positions.append(robot.step().command.joint_target)
    positions += [robot.step().command.joint_target for _ in range(100)]
    moved = np.abs(np.diff(positions, axis=0))
    assert (moved <= 2.0 * GO2.joint_velocity_limit * PERIOD + 1e-9).all()
    assert positions[-1].tolist() == robot.target_pos.tolist()


@pytest.mark.parametrize("mode", [Mode.STANDING_UP, Mode.READY])
def test_stand_up_and_ready_wait_while_something_asks_to_hold(mode: Mode) -> None:
    robot = SupervisedRobot().bring_to(mode)
    robot.step()
    robot.sends_states = False
    robot.run(0.1)
    assert robot.mode is mode
    assert robot.decision.reaction is Reaction.HOLD
    waiting = robot.decision.command.joint_target
    robot.run(0.05)
    assert robot.decision.command.joint_target.tolist() == waiting.tolist()
    robot.sends_states = True
    robot.run(1.0)
    assert robot.mode is Mode.READY


def test_sitting_down_is_possible_while_standing_up() -> None:
    robot = SupervisedRobot().bring_to(Mode.STANDING_UP)
    robot.run(0.2)
    robot.accept("sit")
    robot.run(1.0)
    assert robot.mode is Mode.PASSIVE
    assert not robot.trips


REFUSALS = [
    (Mode.PASSIVE, "arm", "passive"),
    (Mode.PASSIVE, "pause", "passive"),
    (Mode.PASSIVE, "sit", "passive"),
    (Mode.PASSIVE, "reset", "nothing to reset"),
    (Mode.STANDING_UP, "stand", "standing_up"),
    (Mode.STANDING_UP, "arm", "standing_up"),
    (Mode.READY, "stand", "ready"),
    (Mode.READY, "pause", "ready"),
    (Mode.READY, "arm", "lost_policy"),
    (Mode.ACTIVE, "arm", "active"),
    (Mode.ACTIVE, "stand", "active"),
    (Mode.ACTIVE, "sit", "active"),
    (Mode.ACTIVE, "reset", "nothing to reset"),
]


@pytest.mark.parametrize(("mode", "request_name", "why"), REFUSALS)
def test_requests_that_do_not_fit_are_refused_and_change_nothing(mode: Mode, request_name: str, why: str) -> None:
    robot = SupervisedRobot().bring_to(mode)
    assert why in robot.refuse(request_name)
    assert robot.mode is mode


@pytest.mark.parametrize("name", ["stand", "reset"])
def test_no_request_is_accepted_before_the_first_step_or_when_steps_have_ended(name: str) -> None:
    robot = SupervisedRobot()
    robot.refuse(name)
    robot.bring_to(Mode.PASSIVE)
    if name == "reset":
        robot.request("stop")
        robot.step()
        robot.run(1.0)
    robot.now += 1.0
    assert "not running" in robot.refuse(name)
    robot.now = math.nan
    assert "not running" in robot.refuse(name)


def test_standing_up_needs_a_sound_robot() -> None:
    silent = SupervisedRobot(sends_states=False)
    silent.run(1.0)
    assert "lost_robot" in silent.refuse("stand")
    tilted = SupervisedRobot()
    tilted.imu_quat = rolled(2.0)
    tilted.run(1.0)
    assert "tilt" in tilted.refuse("stand")
    assert not tilted.trips, "a robot that lies on its side in peace is not an incident"
    tilted.imu_quat = rolled(0.0)
    tilted.step()
    assert "tilt: over for less than 0.5 s" in tilted.refuse("stand")
    tilted.run(0.6)
    tilted.accept("stand")


def ready_to_arm() -> SupervisedRobot:
    robot = SupervisedRobot().bring_to(Mode.READY)
    robot.sends_targets = True
    robot.run(0.1)
    return robot


def test_arming_demands_a_robot_and_a_policy_that_are_ready() -> None:
    robot = ready_to_arm()
    robot.imu_quat = rolled(CONFIG.start_tilt + 0.01, axis=1)
    robot.step()
    assert "leans" in robot.refuse("arm")

    robot = ready_to_arm()
    robot.follows = False
    robot.joint_pos[3] += CONFIG.start_tolerance + 0.01
    robot.step()
    assert "start pose" in robot.refuse("arm")

    robot = ready_to_arm()
    robot.target_pos[:] = math.nan
    robot.run(PERIOD)
    assert "finite_target" in robot.refuse("arm")

    robot = ready_to_arm()
    robot.sends_targets = False
    robot.run(0.1)
    assert "lost_policy" in robot.refuse("arm")

    robot = ready_to_arm()
    robot.sends_states = False
    robot.run(0.1)
    assert "stale_state" in robot.refuse("arm")

    robot = ready_to_arm()
    robot.accept("arm")
    robot.target_pos = START + 0.2
    robot.run(0.1)
    robot.accept("pause")
    robot.step()
    assert "still moving" in robot.refuse("arm")
    robot.run(0.5)
    robot.accept("arm")


def test_a_stop_wins_over_a_request_that_comes_with_it() -> None:
    for order in (("stop", "arm"), ("arm", "stop")):
        robot = ready_to_arm()
        for name in order:
            robot.request(name)
        assert robot.step().mode is Mode.STOPPED


def test_a_reset_cannot_overtake_a_stop() -> None:
    robot = SupervisedRobot().bring_to(Mode.READY)
    robot.request("stop")
    robot.run(1.0)
    robot.request("stop")
    assert "the test wants it" in robot.refuse("reset")
    robot.step()
    assert robot.mode is Mode.STOPPED
    assert "operator_stop" in robot.refuse("reset")


@pytest.mark.parametrize("mode", [Mode.PASSIVE, Mode.STANDING_UP, Mode.READY, Mode.ACTIVE])
def test_stop_works_everywhere(mode: Mode) -> None:
    robot = SupervisedRobot().bring_to(mode)
    robot.request("stop")
    decision = robot.step()
    assert decision.mode is Mode.STOPPED
    assert decision.reaction is Reaction.STOP
    assert [trip.reaction for trip in decision.new_trips] == [Reaction.STOP]
    assert decision.causes == ("operator_stop: the test wants it",)


def test_causes_tell_what_led_to_a_stop_after_it_is_over() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.imu_quat = rolled(1.2)
    robot.run(0.1)
    assert robot.decision.causes == ("tilt: 1.2 rad, limit 1",)
    robot.imu_quat = rolled(0.0)
    robot.step()
    assert robot.decision.causes == ("tilt: over for less than 0.5 s",)
    robot.run(1.0)
    assert robot.decision.causes == ("tilt: over",)
    robot.accept("reset")
    assert robot.step().causes == ()


def test_what_happens_while_damped_must_be_over_too() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.request("stop")
    robot.step()
    robot.imu_quat = rolled(1.5)  # it falls on its side
    robot.run(1.0)
    assert "tilt" in robot.tripped()
    assert "tilt" in robot.refuse("reset")
    robot.imu_quat = rolled(0.0)
    robot.run(1.0)
    robot.accept("reset")


def test_after_a_dead_policy_a_reset_needs_a_living_one() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.sends_targets = False
    robot.run(1.2)
    assert robot.mode is Mode.DAMP
    assert "dead_policy" in robot.refuse("reset")
    robot.sends_targets = True
    robot.run(1.0)
    robot.accept("reset")


def hold_once(robot: SupervisedRobot) -> None:
    """A policy that sends garbage for a moment, and is well again half a second later."""
    robot.target_pos[3] = math.nan
    robot.run(PERIOD)
    robot.target_pos = START.copy()
    robot.run(0.5 - PERIOD)


def test_a_policy_that_is_cut_off_again_and_again_is_damped() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    for _ in range(5):
        hold_once(robot)
        assert robot.mode is Mode.ACTIVE
    hold_once(robot)
    assert robot.mode is Mode.DAMP
    assert robot.trips[-1].message == "repeated_holds: 6 holds in 10 s, limit 5"
    robot.run(1.0)
    assert "repeated_holds" in robot.refuse("reset")
    robot.run(10.0, dt=PERIOD)
    robot.accept("reset")


def test_holds_that_come_seldom_are_forgiven() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    for _ in range(8):
        hold_once(robot)
        robot.run(1.6, dt=PERIOD)
    assert robot.mode is Mode.ACTIVE
    assert set(robot.tripped()) == {"finite_target"}


def test_pausing_and_arming_does_not_wipe_the_slate() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    for _ in range(6):
        hold_once(robot)
        if robot.mode is Mode.ACTIVE:
            robot.accept("pause")
            robot.run(0.2)
            robot.accept("arm")
    assert robot.mode is Mode.DAMP
    assert robot.tripped()[-1] == "repeated_holds"


def test_what_a_robot_does_not_report_neither_trips_nor_counts_as_healthy() -> None:
    robot = SupervisedRobot(reports=False).bring_to(Mode.ACTIVE)
    robot.run(1.0)
    assert not robot.trips
    unjudged = {"motor_temperature", "battery", "foot_force"}
    assert unjudged <= set(robot.supervisor.unjudged)
    reporting = SupervisedRobot().bring_to(Mode.ACTIVE)
    assert unjudged.isdisjoint(reporting.supervisor.unjudged)
    assert set(reporting.supervisor.unjudged) == {"workspace", "command_range", "training_envelope"}


def test_a_hot_motor_does_not_get_well_by_falling_silent() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    assert robot.temperature is not None
    robot.temperature[4] = 89.0
    robot.run(0.6)
    assert robot.mode is Mode.DAMP
    robot.temperature = None
    robot.run(1.0)
    assert {"finite_state", "lost_robot"} <= set(robot.tripped())
    assert "motor_temperature" in robot.refuse("reset")
    robot.temperature = np.full(12, 50.0)
    robot.run(1.0)
    robot.accept("reset")


@pytest.mark.parametrize("command", [[2.0], [math.nan], "fast", [0.1, 0.2], [[0.1]]])
def test_a_command_beyond_the_range_clips_and_garbage_does_not_pass(command: object) -> None:
    robot = SupervisedRobot(toy_policy.ROBOT, toy_contract()).bring_to(Mode.ACTIVE)
    robot.command = np.array([0.9])
    robot.run(0.1)
    assert not robot.trips
    robot.command = command  # type: ignore[assignment]
    robot.run(0.1)
    assert robot.tripped() == ["command_range"]
    assert robot.mode is Mode.ACTIVE
    assert robot.decision.reaction is Reaction.CLIP
    assert robot.decision.causes[0].startswith("command_range: vx ")


def test_a_joint_without_a_motor_is_no_obstacle() -> None:
    cartpole = robots.load("cartpole")
    assert 0.0 in cartpole.joint_effort_limit
    robot = SupervisedRobot(cartpole).bring_to(Mode.ACTIVE)
    robot.joint_torque[1] = math.nan
    robot.step()
    assert robot.tripped() == ["finite_state"]


def test_what_is_no_longer_reported_is_told_as_it_was_last() -> None:
    robot = SupervisedRobot(toy_policy.ROBOT, toy_contract()).bring_to(Mode.ACTIVE)
    robot.command = np.array([2.0])
    robot.step()
    robot.command = None
    (cause,) = robot.step().causes
    assert cause == "command_range: vx 1 outside the range, limit 0, when it was last reported"


def test_an_empty_battery_and_hot_motors_forbid_standing_up() -> None:
    robot = SupervisedRobot().bring_to(Mode.PASSIVE)
    robot.battery = 0.05
    robot.run(0.1)
    assert "battery" in robot.refuse("stand")
    assert not robot.trips


def test_a_stop_escalates_damp() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.imu_quat = rolled(1.2)
    robot.run(0.1)
    assert robot.mode is Mode.DAMP
    robot.request("stop")
    assert robot.step().mode is Mode.STOPPED


def test_torque_is_estimated_where_the_drives_do_not_report_it() -> None:
    robot = SupervisedRobot().bring_to(Mode.READY)
    robot.follows = False
    robot.joint_pos[4] -= 2.0  # far enough for the full torque, as if the leg were jammed
    for _ in range(150):
        robot.now += DT
        robot.sense()
        assert robot.state is not None
        silent = dataclasses.replace(robot.state, joint_torque=None)
        robot.trips += robot.supervisor.step(robot.now, silent, None).new_trips
    assert robot.tripped() == ["joint_torque"]


@pytest.mark.parametrize("jump", [-1000.0, -0.001, 1000.0])
def test_a_jump_of_the_clock_moves_nothing_and_raises_nothing(jump: float) -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.target_pos = START + 0.1
    before = robot.decision.command.joint_target
    robot.sends_states = robot.sends_targets = False
    after = robot.step(jump).command.joint_target
    assert np.abs(after - before).max() <= CONFIG.settle_speed * PERIOD + 1e-9
    # Nothing that was stamped on the old clock counts any more.
    assert robot.mode is Mode.DAMP
    assert "lost_robot" in robot.tripped()


def test_a_clock_that_went_back_with_everybody_else_is_no_reason_to_stop() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot._target_due = 0.0
    robot.step(-50.0)
    robot._target_due = 0.0
    robot.run(0.5)
    assert robot.mode is Mode.ACTIVE
    assert not robot.trips


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_clock_that_is_no_number_damps(now: float) -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    for _ in range(6):
        decision = robot.supervisor.step(now, robot.state, robot.target)
        assert np.isfinite(decision.command.joint_target).all()
    assert decision.mode is Mode.DAMP
    assert [trip.constraint for trip in decision.new_trips] == ["clock"]


def test_a_supervisor_that_never_sees_a_clock_stays_passive() -> None:
    robot = SupervisedRobot(now=math.nan)
    robot.run(1.0)
    assert robot.mode is Mode.PASSIVE
    robot.refuse("stand")


def test_after_a_long_pause_of_the_caller_no_motion_is_made_up() -> None:
    robot = SupervisedRobot(config=SupervisorConfig()).bring_to(Mode.STANDING_UP)
    robot.run(0.5)
    before = robot.decision.command.joint_target
    after = robot.step(0.15).command.joint_target
    assert np.abs(after - before).max() <= SupervisorConfig().stand_speed * PERIOD * (1.0 + 1e-9)
    assert robot.tripped() == ["late_step"]
    assert robot.mode is Mode.STANDING_UP


def test_an_older_target_never_replaces_a_newer_one() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.target = Target(robot.now - 0.5, robot.now, START + 0.3)
    robot.sends_targets = False
    robot.step()
    assert robot.decision.command.joint_target.tolist() == START.tolist()


def test_commands_cannot_be_used_to_change_the_supervisor() -> None:
    robot = SupervisedRobot().bring_to(Mode.READY)
    for command in (robot.decision.command, robot.supervisor.damping_command()):
        for array in (command.joint_target, command.kp, command.kd):
            if array.flags.writeable:
                array[:] = math.nan
    decision = robot.step()
    assert decision.command.joint_target.tolist() == START.tolist()
    assert np.isfinite(decision.command.kp).all()
    assert np.isfinite(robot.supervisor.damping_command().kd).all()


def test_damping_command_is_at_hand_from_the_first_moment() -> None:
    command = Supervisor(GO2).damping_command()
    assert not command.kp.any()
    assert (command.kd > 0.0).all()
    assert (command.joint_target >= GO2.joint_lower).all()
    assert (command.joint_target <= GO2.joint_upper).all()


def test_a_robot_with_a_mounted_imu_is_level_when_its_base_is() -> None:
    mount = rolled(0.9, axis=1)
    turned = dataclasses.replace(GO2, imu=dataclasses.replace(GO2.imu, quat=tuple(mount.tolist())))
    robot = SupervisedRobot(turned)
    robot.imu_quat = mount  # world_from_imu of a level base
    robot.bring_to(Mode.READY)
    robot.imu_quat = rolled(0.9, axis=1) * np.array([1.0, -1.0, -1.0, -1.0])  # the base leans by 1.8 rad
    robot.run(0.1)
    assert robot.tripped() == ["tilt"]


def toy_contract(**changes: object) -> Contract:
    return dataclasses.replace(toy_policy.contract(), **changes)


def test_gains_start_pose_and_period_are_the_bundle_s() -> None:
    contract = toy_contract(kp=(11.0, 12.0), kd=(0.1, 0.2), default_joint_pos=(0.2, -0.1), control_period=0.01)
    robot = SupervisedRobot(toy_policy.ROBOT, contract)
    robot.target_pos = np.array([0.2, -0.1])
    robot.bring_to(Mode.ACTIVE)
    robot.run(0.5)
    command = robot.decision.command
    assert command.kp.tolist() == [11.0, 12.0]
    assert command.kd.tolist() == [0.1, 0.2]
    assert command.joint_target.tolist() == [0.2, -0.1]
    assert robot.supervisor.limits.control_period == 0.01


@pytest.mark.parametrize("period", [0.002, 0.02, 0.1])
def test_own_motion_takes_as_long_whatever_the_control_period(period: float) -> None:
    contract = toy_contract(control_period=period, default_joint_pos=(1.0, -0.3))
    robot = SupervisedRobot(toy_policy.ROBOT, contract, config=SupervisorConfig()).bring_to(Mode.STANDING_UP)
    robot.run(1.49)
    assert robot.mode is Mode.STANDING_UP
    robot.run(0.02)
    assert robot.mode is Mode.READY


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"velocity_limit": (20.1, 20.0)}, r"velocity_limit\[0\]: left_joint: .*loosens"),
        ({"robot": "unitree_go2"}, "robot: made for 'unitree_go2'"),
        ({"joint_lower": (0.01, -1.5)}, r"joint_lower\[0\]: left_joint: 0.01 rad excludes the robot's rest pose"),
        ({"action_upper": (1.5, -0.4)}, r"action_upper\[1\]: right_joint: -0.4 rad excludes default_joint_pos"),
        ({"monitors": {"tilt": 2.0}}, r"monitors\.tilt"),
    ],
)
def test_a_contract_that_does_not_fit_is_refused(changes: dict, match: str) -> None:
    with pytest.raises(BundleError, match=match):
        Supervisor(toy_policy.ROBOT, toy_contract(**changes))


def test_supervisors_do_not_share_anything() -> None:
    one, other = SupervisedRobot().bring_to(Mode.READY), SupervisedRobot().bring_to(Mode.READY)
    one.request("stop")
    one.step()
    assert other.step().mode is Mode.READY
    twin = copy.deepcopy(other)
    twin.request("stop")
    twin.step()
    assert other.step().mode is Mode.READY


def test_every_damped_mode_has_no_stiffness() -> None:
    assert set(DAMPED) == {Mode.PASSIVE, Mode.DAMP, Mode.STOPPED}
