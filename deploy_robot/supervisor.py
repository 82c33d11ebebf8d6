"""The supervisor: a state machine between whatever asks for motion and the robot's driver.

Time is passed in; nothing here sleeps, starts a thread or reads a clock. Call `step` at the rate of the
driver's loop (100 to 500 Hz) with the newest state and target, and write the command that it returns.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from contract.policy_contract import Contract
from contract.robot import Robot
from deploy_robot import monitors
from deploy_robot.commander import Commander
from deploy_robot.constraint import Constraint, Reaction, Reading
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.decision import DAMPED, LATCHED, POLICY_DRIVES, Decision, Mode, Trip
from deploy_robot.driver import Array, JointCommand, RobotState
from deploy_robot.intake import StateIntake, TargetIntake, as_command
from deploy_robot.judge import Row, rows_of
from deploy_robot.limits import limits_of
from deploy_robot.recent import Recent
from deploy_robot.supervisor_config import HOLD_WINDOW, SupervisorConfig
from deploy_robot.target import Target
from deploy_robot.thresholds import thresholds_of

__all__ = ["Decision", "Mode", "Reaction", "Supervisor", "SupervisorConfig", "Target", "Trip"]

_PERMISSION_TIME = 0.2  # s after a step for which what it found permits motion
LONGEST_STEP = 0.02  # s that one step may count for, since a pause of the caller must not end in a jump

_DEFAULTS = SupervisorConfig()


class Supervisor:
    """Guards one robot.

    Args:
        robot: its limits, gains and poses.
        contract: of the policy's bundle: tightens limits, and gives gains, start pose and control period.
        config: speeds and tolerances.
        table: the constraints.

    Raises:
        BundleError: the contract is for another robot, loosens a limit, or sets an unknown threshold.
    """

    def __init__(
        self,
        robot: Robot,
        contract: Contract | None = None,
        config: SupervisorConfig = _DEFAULTS,
        table: tuple[Constraint, ...] = CONSTRAINTS,
    ) -> None:
        self.limits = limits_of(robot, contract)
        self.thresholds = thresholds_of(table, contract)
        self.config = config
        self.mode = Mode.PASSIVE
        slew = self.thresholds["target_slew"].value * self.limits.joint_velocity
        self._commander = Commander(robot, contract, self.limits, slew, config)
        self._states = StateIntake(self._commander.start_pose, len(robot.feet))
        self._targets = TargetIntake(self._commander.start_pose, self.limits.control_period)
        self._rows = rows_of(table, self.thresholds)
        self._reading: Reading | None = None
        self._now = math.nan
        self._clock_faults = 0
        self._holds = Recent(HOLD_WINDOW)
        self._stand_overdue = 0.0  # s
        self._stop_requests = 0
        self._stop_reason = ""

    def step(
        self, now: float, state: RobotState | None, target: Target | None, command: ArrayLike | None = None
    ) -> Decision:
        """Take in the newest state and target and decide what the joints shall do.

        Whatever comes in, nothing is raised: garbage trips a constraint.

        Args:
            now: s, steady clock.
            state: the newest one; the same one again, or None, where no newer has come.
            target: likewise.
            command: what the operator asks the policy for, as `limits.command_elements`; None where nobody does.
        """
        with np.errstate(all="ignore"):  # garbage overflows; the constraints see the outcome
            dt = self._advance(now)
            self._states.offer(state, self._now)
            self._targets.offer(target, self._now)
            self._holds.pass_time(dt)
            self._reading = reading = self._read(dt, as_command(command, len(self.limits.command_elements or ())))
            motion_dt = min(dt, LONGEST_STEP)
            new = [row for row in self._rows if row.judge(reading, self._counts(row), dt, motion_dt)]
            severity = max((row.reaction for row in self._rows if row.tripped), default=Reaction.NONE)
            trips = self._trips(new, reading)
            self._change_mode(severity, motion_dt)
            ordered = self._commander.command(self.mode, motion_dt, self._states.joint_pos, self._targets.joint_target)
            causes = tuple(row.sentence(reading) for row in self._rows if row.tripped or row.latched)
        self._stop_requests = 0
        return Decision(self.mode, ordered, self._in_force(severity), trips, causes)

    @property
    def reading(self) -> Reading | None:
        """What the constraints looked at in the last step; None before the first."""
        return self._reading

    @property
    def unjudged(self) -> tuple[str, ...]:
        """Constraints that the last step could not judge, as this robot does not report what they need."""
        return tuple(row.constraint.name for row in self._rows if not row.judged)

    def damping_command(self) -> JointCommand:
        """The last thing to write on the way out of the process: no stiffness, only damping."""
        return self._commander.damping()

    # Requests come from an operator or a program, between steps and on the same thread. Each returns whether
    # it is accepted, and a sentence that says what happens or why not. `now` is on the clock of `step`.

    def request_stand(self, now: float) -> tuple[bool, str]:
        """PASSIVE to STANDING_UP, which ends in READY."""
        if self.mode is not Mode.PASSIVE:
            return False, f"the robot stands up from passive only, and it is {self.mode.value}"
        if obstacle := self._obstacle(now):
            return False, f"cannot stand up: {obstacle}"
        self.mode = Mode.STANDING_UP
        return True, f"standing up, {self._commander.start_ramp(self.mode):.1f} s"

    def request_sit(self, now: float) -> tuple[bool, str]:
        """STANDING_UP, READY or HOLD to SITTING_DOWN, which ends in PASSIVE."""
        if self.mode not in (Mode.STANDING_UP, Mode.READY, Mode.HOLD):
            return False, f"the robot sits down from standing still only, and it is {self.mode.value}"
        if obstacle := self._obstacle(now):
            return False, f"cannot sit down: {obstacle}"
        self.mode = Mode.SITTING_DOWN
        return True, f"sitting down, {self._commander.start_ramp(self.mode):.1f} s"

    def request_arm(self, now: float) -> tuple[bool, str]:
        """READY to ACTIVE: with fresh sensors, a policy that sends targets, upright and in the start pose."""
        if self.mode is not Mode.READY:
            return False, f"a policy takes over from ready only, and the robot is {self.mode.value}"
        if obstacle := self._obstacle(now, policy=True) or self._not_at_start():
            return False, f"cannot arm: {obstacle}"
        self.mode = Mode.ACTIVE
        return True, "the policy drives"

    def request_pause(self, now: float) -> tuple[bool, str]:
        """ACTIVE or HOLD to READY."""
        if self.mode not in POLICY_DRIVES:
            return False, f"there is no policy to pause, the robot is {self.mode.value}"
        self.mode = Mode.READY
        return True, "paused, holding the start pose"

    def request_stop(self, now: float, reason: str) -> tuple[bool, str]:
        """To STOPPED from anywhere, with the next step. Always accepted."""
        self._stop_requests += 1
        self._stop_reason = reason
        return True, f"stopping: {reason}"

    def request_reset(self, now: float) -> tuple[bool, str]:
        """DAMP or STOPPED to PASSIVE, once all that led there is over. It starts no motion."""
        if self.mode not in LATCHED:
            return False, f"there is nothing to reset, the robot is {self.mode.value}"
        if self._stop_requests:
            return False, f"cannot reset: a stop has just been asked for: {self._stop_reason}"
        if obstacle := self._obstacle(now):
            return False, f"cannot reset: {obstacle}"
        for row in self._rows:
            row.latched = False
        self.mode = Mode.PASSIVE
        return True, "reset, passive"

    def _advance(self, now: float) -> float:
        """Time since the last step, s; 0 in the first one and where the clock did not advance."""
        dt = now - self._now
        if 0.0 < dt < math.inf:
            self._now, self._clock_faults = now, 0
            return dt
        if not math.isnan(self._now):
            self._clock_faults += 1
        if math.isfinite(now):
            if dt < 0.0:
                self._states.forget()
                self._targets.forget()
            self._now = now
        return 0.0

    def _read(self, dt: float, command: Array | None) -> Reading:
        states, targets = self._states, self._targets
        torque = states.joint_torque
        if torque is None:
            # Drives that do not report it: what they make of the last command.
            last, limit = self._commander.last, self.limits.joint_effort
            asked = last.kp * (last.joint_target - states.joint_pos) - last.kd * states.joint_vel
            torque = np.clip(asked, -limit, limit)
        return Reading(
            limits=self.limits,
            joint_pos=states.joint_pos,
            joint_vel=states.joint_vel,
            joint_torque=torque,
            imu_quat=states.imu_quat,
            state_faults=states.faults,
            state_age=self._now - states.stamp,
            state_frozen=states.frozen,
            target=targets.joint_target,
            previous_target=targets.previous,
            target_interval=targets.interval,
            target_faults=targets.faults,
            target_age=self._now - targets.received,
            target_delay=self._now - targets.stamp,
            step_time=dt,
            clock_faults=self._clock_faults,
            stand_overdue=self._stand_overdue,
            stop_requests=self._stop_requests,
            stop_reason=self._stop_reason,
            holds=self._holds.count,
            gyro=states.gyro,
            temperature=states.temperature,
            battery=states.battery,
            foot_force=states.foot_force,
            command=command,
        )

    def _counts(self, row: Row) -> bool:
        """Rows about the policy count while it drives, and as long as they keep the robot damped."""
        return not row.about_policy or self.mode in POLICY_DRIVES or row.latched

    def _change_mode(self, severity: Reaction, dt: float) -> None:
        if severity is Reaction.STOP:
            self.mode = Mode.STOPPED
        elif self.mode not in DAMPED:
            if severity is Reaction.DAMP:
                self.mode = Mode.DAMP
            elif self.mode is Mode.ACTIVE and severity is Reaction.HOLD:
                self.mode = Mode.HOLD
                self._holds.happened()
            elif self.mode is Mode.HOLD and severity < Reaction.HOLD:
                self.mode = Mode.ACTIVE
        if self.mode in LATCHED:
            for row in self._rows:
                row.latched |= row.tripped and row.reaction >= Reaction.DAMP
        self._stand_overdue = 0.0
        if self.mode in (Mode.STANDING_UP, Mode.SITTING_DOWN):
            overdue = self._commander.advance_ramp(0.0 if severity >= Reaction.HOLD else dt)
            if overdue >= 0.0 and self.mode is Mode.SITTING_DOWN:
                self.mode = Mode.PASSIVE
            elif overdue >= 0.0 and self._distance_from_start() <= self.config.start_tolerance:
                self.mode = Mode.READY
            else:
                self._stand_overdue = overdue

    def _distance_from_start(self) -> float:
        return float(np.abs(self._states.joint_pos - self._commander.start_pose).max())

    def _not_at_start(self) -> str:
        """What keeps the robot from standing still in its start pose, upright; empty if nothing does."""
        config, distance = self.config, self._distance_from_start()
        if not distance <= config.start_tolerance:
            return f"a joint is {distance:.2f} rad from the start pose, {config.start_tolerance:g} allowed"
        tilt = float(monitors.tilt(self._states.imu_quat, self.limits.up))
        if not tilt <= config.start_tilt:
            return f"the base leans by {tilt:.2f} rad, {config.start_tilt:g} allowed"
        if not self._commander.settled():
            return "the robot is still moving to the start pose"
        return ""

    def _obstacle(self, now: float, policy: bool = False) -> str:
        """What forbids motion or a reset; empty if nothing does. With `policy`, its absence forbids, too."""
        if self._reading is None or not 0.0 <= now - self._now <= _PERMISSION_TIME:
            return "the supervisor is not running"
        standing = [
            row.sentence(self._reading)
            for row in self._rows
            if (self._counts(row) or policy) and (row.tripped or not row.ok) and row.reaction >= Reaction.HOLD
        ]
        return "; ".join(standing)

    def _trips(self, rows: list[Row], reading: Reading) -> tuple[Trip, ...]:
        if self.mode is Mode.PASSIVE:
            rows = [row for row in rows if row.reaction is Reaction.STOP]
        return tuple(Trip(self._now, row.constraint.name, row.reaction, row.sentence(reading)) for row in rows)

    def _in_force(self, severity: Reaction) -> Reaction:
        match self.mode:
            case Mode.PASSIVE:
                return Reaction.NONE
            case Mode.STOPPED:
                return Reaction.STOP
            case Mode.DAMP:
                return Reaction.DAMP
        return severity
