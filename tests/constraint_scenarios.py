"""How every row of the constraint table is violated and healed, and what must be seen of it."""

import copy
import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import made_up_arm
import numpy as np
import toy_policy
from supervised_robot import DT, GO2, PERIOD, SupervisedRobot, rolled

from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot.constraint import Constraint, Reaction, Reading, Scope
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.decision import Mode
from deploy_robot.judge import rows_of
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
        robot, contract: to which it happens.
    """

    inject: Fault
    heal: Callable[[SupervisedRobot], None] = lambda robot: None
    mode: Mode = Mode.ACTIVE
    robot: Robot = GO2
    contract: Contract | None = None


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


def power(robot: SupervisedRobot, share: float) -> None:
    limits = robot.supervisor.limits
    factor = math.sqrt(share * limits.power / float(limits.joint_effort @ limits.joint_velocity))
    robot.joint_torque, robot.joint_vel = factor * limits.joint_effort, -factor * limits.joint_velocity
    persist(robot, "power")


def idle(robot: SupervisedRobot) -> None:
    rest(robot)
    unload(robot)


def motor_temperature(robot: SupervisedRobot, share: float) -> None:
    assert robot.temperature is not None
    robot.temperature[5] = share * 90.0 * ROWS["motor_temperature"].limit
    persist(robot, "motor_temperature")


def cool(robot: SupervisedRobot) -> None:
    assert robot.temperature is not None
    robot.temperature[5] = 40.0


def battery(robot: SupervisedRobot, share: float) -> None:
    robot.battery = 1.0 - share * 0.9 * ROWS["battery"].limit
    persist(robot, "battery")


def recharge(robot: SupervisedRobot) -> None:
    robot.battery = 1.0


def foot_force(robot: SupervisedRobot, share: float) -> None:
    assert robot.foot_force is not None
    robot.foot_force[2] = share * 600.0 * ROWS["foot_force"].limit
    persist(robot, "foot_force")


def lift_foot(robot: SupervisedRobot) -> None:
    assert robot.foot_force is not None
    robot.foot_force[2] = 0.0


def posed(name: str, towards: np.ndarray) -> Fault:
    """Move the joints from the default pose towards another one, until the row's figure is as wanted."""

    def inject(robot: SupervisedRobot, share: float) -> None:
        row, reading = ROWS[name], robot.supervisor.reading
        assert reading is not None
        robot.follows = False
        default = robot.robot.default_joint_pos
        near, far = 0.0, 1.0
        for _ in range(50):
            half = 0.5 * (near + far)
            robot.joint_pos = default + half * (towards - default)
            figure = row.worst(dataclasses.replace(reading, joint_pos=robot.joint_pos))
            near, far = (half, far) if figure < share * row.limit + (share - 1.0) * 1e-3 else (near, half)
        persist(robot, name)

    return inject


def back_to_start(robot: SupervisedRobot) -> None:
    robot.joint_pos = robot.robot.default_joint_pos


# The front legs crossed, and the tool beyond the box.
CROSSED = GO2.default_joint_pos + np.array([-0.9, 0.0, 0.0, 0.9, 0.0, 0.0, *[0.0] * 6])
REACHING = np.array([0.3, -0.4, 0.4])


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


def command_range(robot: SupervisedRobot, share: float) -> None:
    robot.command = np.array([-1.0 - (2e-5 if share > 1.0 else 0.0)])
    robot.step()


def moderate_command(robot: SupervisedRobot) -> None:
    robot.command = np.array([0.5])


def training_envelope(robot: SupervisedRobot, share: float) -> None:
    robot.gyro[:2] = 4.5 * (1.0 + EPS), -4.5 * share  # of five values
    persist(robot, "training_envelope")


def still(robot: SupervisedRobot) -> None:
    robot.gyro[:] = 0.0


def repeated_holds(robot: SupervisedRobot, share: float) -> None:
    for _ in range(int(ROWS["repeated_holds"].limit) + (share > 1.0)):
        robot.run(0.4)
        robot.target_pos[7] = math.nan
        while robot.mode is Mode.ACTIVE:
            robot.step()
        sane_target(robot)
    robot.step()


def wait(robot: SupervisedRobot) -> None:
    while any(cause.startswith("repeated_holds: ") and "over" not in cause for cause in robot.decision.causes):
        robot.step(PERIOD)


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
    "power": Scenario(power, idle),
    "motor_temperature": Scenario(motor_temperature, cool),
    "battery": Scenario(battery, recharge),
    "foot_force": Scenario(foot_force, lift_foot),
    "base_height": Scenario(posed("base_height", np.array(GO2.rest_pose)), back_to_start),
    "self_collision": Scenario(posed("self_collision", CROSSED), back_to_start),
    "workspace": Scenario(posed("workspace", REACHING), back_to_start, robot=made_up_arm.ARM),
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
    "command_range": Scenario(command_range, moderate_command, robot=toy_policy.ROBOT, contract=toy_policy.contract()),
    "training_envelope": Scenario(training_envelope, still, robot=toy_policy.ROBOT, contract=toy_policy.contract()),
    "repeated_holds": Scenario(repeated_holds, wait),
}

NAMES = list(ROWS)


def violate(name: str, share: float, table: tuple[Constraint, ...] = CONSTRAINTS) -> SupervisedRobot:
    """A robot whose figure has been `share` times the row's limit."""
    scenario = SCENARIOS[name]
    robot = brought_to(scenario, table)
    scenario.inject(robot, share)
    return robot


@functools.cache
def _prepared(robot: str) -> SupervisedRobot:
    """What all scenarios of a robot and a mode have in common."""
    name, mode = robot.split("/")
    scenario = next(s for s in SCENARIOS.values() if s.robot.name == name)
    return SupervisedRobot(scenario.robot, scenario.contract).bring_to(Mode(mode))


def brought_to(scenario: Scenario, table: tuple[Constraint, ...], mode: Mode | None = None) -> SupervisedRobot:
    """A robot in the scenario's mode, or another one, that from now on is judged by `table`."""
    prepared = _prepared(f"{scenario.robot.name}/{(mode or scenario.mode).value}")
    shared = (prepared.robot, prepared.supervisor.limits, prepared.supervisor.limits.geometry, prepared.table)
    robot = copy.deepcopy(prepared, {id(thing): thing for thing in shared})
    robot.table = table
    robot.supervisor.thresholds = thresholds_of(table, scenario.contract)
    robot.supervisor._rows = rows_of(table, robot.supervisor.thresholds)
    return robot


# Rows that a robot which stands by itself can violate as well as one that a policy drives.
SCOPED = [name for name in SCENARIOS if SCENARIOS[name].mode is Mode.ACTIVE and name != "repeated_holds"]
DEBOUNCED = [name for name in ROWS if ROWS[name].trip_after > 0.0]
SELF_ENDING = [name for name in ROWS if ROWS[name].reaction <= Reaction.HOLD]
LATCHING = [name for name in ROWS if ROWS[name].reaction >= Reaction.DAMP]


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
        dataclasses.replace(row, figure=figure, joints=False, elements=None, signal="", fact=None)
        if row.name == name
        else row
        for row in CONSTRAINTS
    )


def check_short_violation_passes(name: str, table: tuple[Constraint, ...] = CONSTRAINTS) -> None:
    """Violate a row three times, each time for a sample less than its trip time."""
    scenario, row = SCENARIOS[name], ROWS[name]
    robot = brought_to(scenario, table)
    for _ in range(3):
        if row.trip_after > 0.0:
            scenario.inject(robot, 1.0 - EPS)
            # `persist` in the scenario has waited: from now on the clock of the violation runs.
            _violate_only(scenario, robot)
            robot.run(row.trip_after - DT)
            scenario.heal(robot)
            robot.run(2 * DT)
    assert name not in robot.tripped()


def _violate_only(scenario: Scenario, robot: SupervisedRobot) -> None:
    """Break the robot without letting any time pass."""
    step, sends = robot.step, robot.sends_states
    robot.step = lambda dt=DT: robot.decision  # type: ignore[method-assign]
    try:
        scenario.inject(robot, 1.0 + EPS)
    finally:
        robot.step = step  # type: ignore[method-assign]
    robot.sends_states = sends


def check_releases(name: str, table: tuple[Constraint, ...] = CONSTRAINTS) -> None:
    """Clip and hold end by themselves, once the cause has been over for the release time."""
    scenario, row = SCENARIOS[name], ROWS[name]
    robot = check_trips(name, table)
    mode_in_force = robot.mode
    robot.follows = True
    scenario.heal(robot)
    for _ in range(400):
        if not any(cause.startswith(f"{name}: ") and "over for" not in cause for cause in robot.decision.causes):
            break
        assert robot.mode is mode_in_force
        robot.step()
    robot.run(row.release_after - 2 * DT)
    assert robot.decision.reaction >= row.reaction
    assert robot.mode is mode_in_force
    robot.run(1.0)
    assert robot.decision.reaction is Reaction.NONE
    assert robot.mode is scenario.mode
    assert not robot.decision.causes


# These are over as soon as the robot damps: it no longer stands up, nobody asks again, the clock goes on.
ENDS_AT_ONCE = ("operator_stop", "stand_up", "clock")


def check_resets(name: str, table: tuple[Constraint, ...] = CONSTRAINTS) -> None:
    """Damp and stop stay until a reset, which is refused while the cause stands, and which starts no motion."""
    robot, row = check_trips(name, table), ROWS[name]
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


def check_scope(name: str, table: tuple[Constraint, ...] = CONSTRAINTS) -> None:
    """While the robot stands without a policy, rows about the policy are silent and the others are not."""
    scenario = SCENARIOS[name]
    robot = brought_to(scenario, table)
    robot.accept("pause")
    robot.run(0.1)
    assert robot.mode is Mode.READY
    scenario.inject(robot, 1.0 + EPS)
    assert (name in robot.tripped()) == (ROWS[name].scope is Scope.ROBOT)


def check_trips_on_nan(name: str) -> None:
    """A figure that is not a number is none within the limit."""
    broken = [False]
    robot = brought_to(SCENARIOS[name], mutated(name, lambda reading: math.nan if broken[0] else 0.0), Mode.ACTIVE)
    broken[0] = True
    persist(robot, name)
    assert name in robot.tripped()


def check_accepts_the_limit_itself(name: str, table: tuple[Constraint, ...] = CONSTRAINTS) -> None:
    """A figure that is equal to its limit is none that exceeds it."""
    limits = thresholds_of(table)
    at_limit = tuple(
        dataclasses.replace(row, figure=lambda r: limits[name].value, joints=False, elements=None, signal="", fact=None)
        if row.name == name
        else row
        for row in table
    )
    robot = brought_to(SCENARIOS[name], at_limit)
    robot.run(ROWS[name].trip_after + 2 * DT)
    assert name not in robot.tripped()
