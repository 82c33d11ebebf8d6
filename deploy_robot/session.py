"""One run of a bundle on a robot: starts the processes, has them driven, ends them, sums up their logs."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract import robots, storage, trust
from contract.bundle import Bundle, read_bundle
from contract.errors import UsageError
from contract.policy_contract import check_robot
from contract.robot import Robot
from deploy_robot import drivers, session_summary
from deploy_robot.course import Course, Status
from deploy_robot.process import StopSignal
from deploy_robot.real_time import Scheduling
from deploy_robot.ros_environment import require_ros
from deploy_robot.session_summary import NEVER, SETTLE_TIME, Span, Summary
from deploy_robot.stack import EMULATED, RobotProcess, Stack, StackConfig

MIN_SECONDS = 4.0  # leaves something to judge after the command has been reached and the robot has settled
COMMAND = "command"

_NAMESPACE = re.compile(r"|/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*/?", re.ASCII)


@dataclass(frozen=True)
class SessionConfig:
    """What to run.

    Attributes:
        bundle: directory or zip.
        out: folder for summary and logs.
        command: vx, vy (m/s) and yaw rate (rad/s) in the base frame.
        seconds: for which the policy drives.
        driver: how to reach the robot.
        address: where the driver finds it, in the driver's terms; a robot that is emulated here has its own.
        domain: ROS domain; None for a free one.
        port: of an emulated robot; None for a free one.
        namespace: of all nodes.
        trusted_keys: public keys, one of which must have signed the bundle: a PEM file or a folder of them; None for
            what LANDBRIDGE_TRUSTED_KEYS says.
        confirm_hardware: somebody has said that a real robot may move.
        record: the whole run, and not only the minute before a trip of a monitor.
        dry_run: compute, check and record, and never write the robot, which stays as it is. Records the whole run.
        listen: publish no command; whoever publishes cmd_vel drives.
        scheduling: what the nodes ask of the system.
    """

    bundle: Path
    out: Path
    command: tuple[float, float, float] = (0.5, 0.0, 0.0)
    seconds: float = 20.0
    driver: str = EMULATED
    address: str = ""
    domain: int | None = None
    port: int | None = None
    namespace: str = ""
    trusted_keys: Path | None = None
    confirm_hardware: bool = False
    record: bool = False
    dry_run: bool = False
    listen: bool = False
    scheduling: Scheduling = field(default_factory=Scheduling)


def run_session(
    config: SessionConfig,
    robot_process: RobotProcess | None = None,
    on_status: Callable[[Status], None] = lambda _: None,
) -> Summary:
    """Run a bundle and leave `summary.json` and the log of every process in `config.out`.

    SIGINT and SIGTERM end it early and cleanly: the robot is damped, every process ends, the summary says so.

    Raises:
        UsageError: a command outside the bundle's range, too short a time, an address that is none, or a real robot
            that nobody confirmed.
        BundleError: the bundle is damaged, for another robot, or not signed by a trusted key.
        LandbridgeError: no ROS, a domain or port in use, a process that ended or a robot that refused, and
            why.
        OSError: `config.out` cannot be written.
    """
    require_ros()
    trusted = trust.configured(config.trusted_keys)
    bundle = read_bundle(config.bundle, trusted)
    robot = robots.load(bundle.contract.robot)
    check_robot(bundle.contract, robot)
    _check_request(config, bundle)
    if robot_process is None:
        _check_hardware(config, robot)
    config.out.mkdir(parents=True, exist_ok=True)
    stack = Stack(
        StackConfig(
            config.bundle,
            robot.name,
            config.out,
            config.driver,
            config.address,
            config.domain,
            config.port,
            config.namespace,
            trusted.source if trusted else None,
            config.record or config.dry_run,
            config.dry_run,
            config.scheduling,
        ),
        robot_process,
    )
    with StopSignal() as stop, stack:
        course = _drive(config, stack, stop, on_status)
    if not course.interrupted and not course.problem:
        course.problem = "; ".join(stack.children.problems)  # such as a log that did not fit on the disk
    summary = _summarise(config, bundle, robot, stack, course)
    storage.replace_file(config.out / "summary.json", summary.to_json().encode())
    return summary


def _drive(config: SessionConfig, stack: Stack, stop: StopSignal, on_status: Callable[[Status], None]) -> Course:
    # Not above: everything else here can tell a user without ROS what to do.
    from deploy_robot.ros.operator import Operator
    from deploy_robot.ros.pilot import Interrupted, Pilot

    def check() -> None:
        if stop.received:
            raise Interrupted
        stack.children.check()

    start = time.monotonic()
    on_status(Status(f"starting in ROS domain {stack.domain}"))
    try:
        stack.start(check)
    except Interrupted:
        return Course(start, interrupted=True)
    with Operator(stack.domain, config.namespace, check) as operator:
        pilot = Pilot(operator, stack.children["policy_node"].reason, on_status)
        command = None if config.listen else config.command
        if config.dry_run:
            return pilot.shadow(Course(start), command, config.seconds)
        return pilot.drive(Course(start), command, config.seconds)


def _check_request(config: SessionConfig, bundle: Bundle) -> None:
    if config.driver not in drivers.names():
        raise UsageError(f"--robot {config.driver}: unknown driver; known: {', '.join(drivers.names())}")
    config.scheduling.check()
    if not config.seconds >= MIN_SECONDS:
        raise UsageError(f"--seconds {config.seconds:g}: must be at least {MIN_SECONDS:g}")
    if not _NAMESPACE.fullmatch(config.namespace):
        raise UsageError(f"--namespace {config.namespace!r}: must be names of letters, digits and _, joined by /")
    ranges = bundle.contract.command_ranges.get(COMMAND)
    if ranges is None:
        return
    given = dict(zip(("vx", "vy", "yaw_rate"), config.command, strict=True))
    for element, lower, upper in zip(ranges.elements, ranges.lower, ranges.upper, strict=True):
        if not lower <= given.get(element, lower) <= upper:
            raise UsageError(
                f"--command: {element} is {given[element]:g}, and the policy was trained for {lower:g} to {upper:g}"
            )


def _check_hardware(config: SessionConfig, robot: Robot) -> None:
    driver = drivers.load(config.driver, robot, config.address, config.dry_run)
    if driver.capabilities.hardware and not config.confirm_hardware:
        raise UsageError(
            f"--robot {config.driver} moves a real robot: see that it hangs or has room to fall and that nobody is"
            " near, hold its emergency stop, and add --confirm-hardware"
        )


def _summarise(config: SessionConfig, bundle: Bundle, robot: Robot, stack: Stack, course: Course) -> Summary:
    driving = settled = NEVER
    if course.armed is not None and course.end is not None:
        driving = Span(course.armed, course.end)
        if not config.dry_run and not config.listen:  # else nobody here knows what it should have done
            settled = Span((course.command_reached or course.end) + SETTLE_TIME, course.end)
    robot_log, policy_log, truth = (stack.log_of(name) for name in ("robot_node", "policy_node", "truth"))
    report: dict[str, Any] = json.loads(str(truth["report"])) if truth else {}
    trips = json.loads(str(robot_log["trips"])) if robot_log else []
    origin = course.armed or course.start
    return Summary(
        bundle=str(config.bundle),
        digest=bundle.digest,
        robot=robot.name,
        driver=config.driver,
        command=config.command,
        seconds=driving.length,
        interrupted=course.interrupted,
        problem=course.problem,
        motion=session_summary.motion(truth, config.command, robot.standing_height, driving, settled)
        if truth
        else None,
        robot_loop=session_summary.periods(robot_log["tick_time"], driving) if robot_log else None,
        policy_loop=session_summary.periods(policy_log["step_time"], driving) if policy_log else None,
        sensor_to_command=session_summary.command_delays(robot_log, driving) if robot_log else None,
        real_time_factor=report.get("timing", {}).get("real_time_factor"),
        trips=tuple(trip | {"time": trip["time"] - origin} for trip in trips),
        dry_run=config.dry_run,
    )
