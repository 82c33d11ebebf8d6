"""The sequence of a session, as an operator would do: load, stand, arm, command, and back to the ground."""

import time
from collections.abc import Callable

from contract.errors import LandbridgeError
from deploy_robot.course import SHADOWING, WALKING, Course, Status
from deploy_robot.ros.operator import Operator
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.supervisor import Mode

Command = tuple[float, float, float]
"""vx, vy (m/s) and yaw rate (rad/s) in the base frame."""

RAMP_TIME = 1.0  # s over which the command grows from zero, and falls back to it

_STILL = (0.0, 0.0, 0.0)
_STILL_TIME = 1.0  # s of standing before the policy is paused, and again before the robot sits down
_START_TIMEOUT = 60.0  # s; a busy machine imports slowly
_STAND_TIMEOUT = 30.0  # s
_ARM_TIMEOUT = 10.0  # s for fresh targets, and for the legs to settle
_RETRY = 0.2  # s
_COMMAND_PERIOD = 0.05  # s
_LATCHED = (Mode.DAMP, Mode.STOPPED)


class Interrupted(Exception):
    """The user asks for the end; raised by the operator's check."""


class Pilot:
    """Drives one session.

    Args:
        operator: whose check raises `Interrupted`, or LandbridgeError where a process has died.
        why_not: gives policy_node's reason after it refused a transition.
        on_status: told where the session stands, about twenty times a second.
    """

    def __init__(self, operator: Operator, why_not: Callable[[], str], on_status: Callable[[Status], None]) -> None:
        self._operator = operator
        self._why_not = why_not
        self._on_status = on_status
        self._phase = "starting"

    def drive(self, course: Course, command: Command | None, seconds: float) -> Course:
        """The whole sequence.

        Args:
            course: just begun; filled in and returned.
            command: what the policy shall follow, after a ramp; None where somebody else publishes cmd_vel.
            seconds: for how long, the ramp included.

        Raises:
            LandbridgeError: a process died, the bundle was refused, or the robot would not stand or be armed.
        """
        try:
            self._start()
            self._stand()
            self._arm()
            course.armed = time.monotonic()
            self._command(course, command, seconds)
            course.end = time.monotonic()
            if not course.problem:
                self._halt(course, command)
            if not course.problem:
                course.problem = self._lie_down()
        except Interrupted:
            course.interrupted = True
            course.end = course.end or time.monotonic()
        return course

    def shadow(self, course: Course, command: Command | None, seconds: float) -> Course:
        """A dry run: the policy computes for `seconds`, and the robot is neither made to stand nor armed.

        Args and errors as in `drive`.
        """
        try:
            self._start()
            course.armed = time.monotonic()
            self._command(course, command, seconds, SHADOWING)
            course.end = time.monotonic()
        except Interrupted:
            course.interrupted = True
            course.end = course.end or time.monotonic()
        return course

    def _start(self) -> None:
        operator = self._operator
        operator.wait_for(lambda: operator.safety is not None, "robot_node did not report", _START_TIMEOUT)
        self._enter("loading the policy")
        if not operator.configure_policy(_START_TIMEOUT):
            raise LandbridgeError(f"policy_node refused the bundle: {self._why_not()}")
        if not operator.activate_policy(_START_TIMEOUT):
            raise LandbridgeError(f"policy_node could not be activated: {self._why_not()}")

    def _stand(self) -> None:
        self._enter("standing up")
        self._insist("stand", _ARM_TIMEOUT)
        self._await_mode(Mode.READY, _STAND_TIMEOUT)

    def _arm(self) -> None:
        self._enter("arming")
        self._insist("arm", _ARM_TIMEOUT)
        self._await_mode(Mode.ACTIVE, _ARM_TIMEOUT)

    def _command(self, course: Course, command: Command | None, seconds: float, phase: str = WALKING) -> None:
        self._phase = phase
        self._follow(course, lambda elapsed: min(elapsed / RAMP_TIME, 1.0), command, seconds)

    def _follow(self, course: Course, share: Callable[[float], float], command: Command | None, seconds: float) -> None:
        """Send `share(elapsed)` times the command, if any, for `seconds`, or until the supervisor has latched."""
        start = time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            factor = share(elapsed)
            if factor == 1.0 and course.command_reached is None:
                course.command_reached = time.monotonic()
            vx, vy, yaw_rate = (factor * value for value in command or _STILL)
            if command is not None:
                self._operator.send_command(vx, vy, yaw_rate)
            self._tell(elapsed, (vx, vy, yaw_rate))
            if self._safety.mode in _LATCHED:
                course.problem = f"the supervisor went to {self._safety.mode.value}: {self._causes()}"
                return
            self._operator.spin(_COMMAND_PERIOD)

    def _halt(self, course: Course, command: Command | None) -> None:
        """Bring the robot to a stand by its command: legs that stop in mid-stride would throw it over."""
        self._phase = "halting"
        fading = command or _STILL
        self._follow(course, lambda elapsed: max(0.0, 1.0 - elapsed / RAMP_TIME), fading, RAMP_TIME + _STILL_TIME)

    def _lie_down(self) -> str:
        """Back to the rest pose; what went wrong with it, which is no reason to throw the session away."""
        self._enter("lying down")
        try:
            self._insist("pause", _ARM_TIMEOUT)
            self._operator.spin(_STILL_TIME)  # for legs that were in the air to find the ground
            self._insist("sit", _ARM_TIMEOUT)
            self._await_mode(Mode.PASSIVE, _STAND_TIMEOUT)
        except LandbridgeError as error:
            return str(error)
        return ""

    @property
    def _safety(self) -> SafetyReport:
        assert self._operator.safety is not None  # `_start` waited for it
        return self._operator.safety

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._tell()

    def _tell(self, elapsed: float = 0.0, command: Command = _STILL) -> None:
        report = self._operator.safety
        if report is None:
            self._on_status(Status(self._phase))
        else:
            self._on_status(
                Status(
                    self._phase,
                    report.mode.value,
                    elapsed,
                    command,
                    report.trips,
                    report.causes,
                    self._operator.diagnostics,
                )
            )

    def _insist(self, request: str, timeout: float) -> None:
        """Ask again until it is accepted: what is in the way may pass, as sensors that are not fresh yet."""
        deadline = time.monotonic() + timeout
        while True:
            accepted, why = self._operator.request(request)
            if accepted:
                return
            if self._safety.mode in _LATCHED or time.monotonic() > deadline:
                raise LandbridgeError(f"the robot refused to {request}: {why}")
            self._operator.spin(_RETRY)

    def _await_mode(self, mode: Mode, timeout: float) -> None:
        self._operator.wait_for(
            lambda: self._safety.mode in (mode, *_LATCHED), f"the robot did not become {mode.value}", timeout
        )
        if self._safety.mode is not mode:
            raise LandbridgeError(
                f"the supervisor went to {self._safety.mode.value} while {self._phase}: {self._causes()}"
            )

    def _causes(self) -> str:
        return "; ".join(self._safety.causes) or "no cause reported"
