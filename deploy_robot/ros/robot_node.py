"""robot_node: owns the driver and the supervisor, and is the only way to the robot.

    python -m deploy_robot.ros.robot_node --ros-args -p robot:=unitree_go2 -p bundle:=PATH -p driver:=emulated

Publishes `joint_states`, `imu` (the same stamp for the same sample), `~/safety` and `/diagnostics`; takes joint
targets on `~/joint_command` and requests on `~/stand`, `~/sit`, `~/arm`, `~/pause`, `~/estop` and `~/reset`. The
supervisor decides on every command. On its way out, whatever the reason, the node leaves the robot damped. In a dry
run it does all that and writes nothing to the robot.

A black box keeps the last minute of all that comes in and goes out, and writes it to a file on any trip.
"""

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from contract import policy_contract, robots, trust
from contract.bundle import Bundle, read_bundle
from contract.errors import LandbridgeError
from contract.robot import Robot
from deploy_robot import drivers, figures, recording
from deploy_robot.black_box import BlackBox, BlackBoxConfig
from deploy_robot.control_digest import control_digest
from deploy_robot.driver import Driver, RobotState
from deploy_robot.process import StopSignal, run_process
from deploy_robot.real_time import RealTime
from deploy_robot.ros import conversions, diagnostics, qos, safety_report
from deploy_robot.ros.context import joined
from deploy_robot.ros.conversions import BUNDLE_FRAME, JointOrder, MessageError, stamp_clock, stamp_key
from deploy_robot.ros.diagnostics import Diagnostics, LoopTiming, Losses
from deploy_robot.ros.parameters import declare, parameter
from deploy_robot.ros.robot_log import RobotLog
from deploy_robot.ros.safety_report import SafetyReport
from deploy_robot.ros.spin import guarded, make_executor, run_paced
from deploy_robot.supervisor import Decision, Mode, Reaction, Supervisor, Target

_REPORT_PERIOD = 0.5  # s between safety reports when nothing changes
_LAST_TRIPS = 10  # that a report describes
_LAST_COMMANDS = 3  # damping commands on the way out; a bus may lose one


@dataclass(frozen=True)
class RobotNodeParameters:
    """ROS parameters of the node."""

    robot: str = parameter("unitree_go2", "robot description: see `landbridge list`")
    driver: str = parameter("emulated", "how to reach the robot")
    address: str = parameter("", "where the driver finds the robot, in the driver's terms; empty for its default")
    bundle: str = parameter("", "policy bundle whose gains and limits apply; empty for the robot's own")
    trusted_keys: str = parameter("", "PEM file or folder of keys that may sign bundles; empty: the environment's")
    rate: float = parameter(200.0, "control loop, Hz", qos.SLOWEST_RATE, 1000.0)
    imu_frame: str = parameter("imu", "frame of the imu messages")
    dry_run: bool = parameter(False, "never write the robot: compute, check and record only")
    priority: int = parameter(50, "real-time priority to ask the system for; 0 for none", 0, 99)
    cpus: str = parameter("", "processors to stay on, such as 2,3 or 2-3; empty for all")
    lock_memory: bool = parameter(False, "keep every page in memory")
    freeze_garbage: bool = parameter(True, "spare what start-up left behind from garbage collection")
    log: str = parameter("", "npz file for timing and trips, written at the end; empty for none")
    black_box: str = parameter("", "folder for recordings of the minute before a trip; empty for ~/.ros/landbridge")
    record: bool = parameter(False, "record the whole run to that folder, too")


class RobotNode:
    """Joins ROS, supervisor and driver. `tick` is one turn of the control loop.

    Args:
        digest: `control_digest` of the supervisor's bundle; targets that name another one are refused.
    """

    def __init__(
        self,
        node: Node,
        robot: Robot,
        driver: Driver,
        supervisor: Supervisor,
        imu_frame: str = "imu",
        black_box: BlackBox | None = None,
        digest: str = "",
    ) -> None:
        self.log = RobotLog()
        self._black_box = black_box
        self._node = node
        self._robot = robot
        self._driver = driver
        self._supervisor = supervisor
        self._imu_frame = imu_frame
        self._frame = BUNDLE_FRAME + digest if digest else ""
        self._clock = stamp_clock(node)
        self._order = JointOrder(robot.joint_names)
        self.target: Target | None = None  # the newest that came in
        self._velocity: tuple[float, ...] | None = None  # what the operator last asked the policy for
        self._last_stamp: float | None = None
        self._published: tuple[Mode, Reaction, int, int] | None = None
        self._published_time = 0.0
        self._trips: list[str] = []
        self._trip_count = 0
        self._refused = 0
        self._lost = 0  # messages that the black box could not record
        self._timing = LoopTiming()
        self._diagnostics = Diagnostics(node)
        joints, imus, commands = (Losses(topic, self._fail) for topic in ("joint_states", "imu", "~/joint_command"))
        self._losses = (joints, imus, commands)
        self._joint_states = node.create_publisher(
            JointState, "joint_states", qos.SENSOR_PUBLISHER, event_callbacks=joints.publisher()
        )
        self._imu = node.create_publisher(Imu, "imu", qos.SENSOR_PUBLISHER, event_callbacks=imus.publisher())
        self._safety = node.create_publisher(DiagnosticArray, "~/safety", qos.STATUS)
        node.create_subscription(
            JointState,
            "~/joint_command",
            guarded(self._on_command, self._fail),
            qos.STREAM_SUBSCRIBER,
            event_callbacks=commands.subscription(deadline=False),
        )
        if supervisor.limits.command_elements is not None:
            for type_, topic in ((TwistStamped, "cmd_vel"), (Twist, "cmd_vel_unstamped")):
                node.create_subscription(type_, topic, guarded(self._on_velocity, self._fail), qos.STREAM_SUBSCRIBER)
        if black_box is not None:
            self._listen(black_box)
        requests: dict[str, Callable[[float], tuple[bool, str]]] = {
            "stand": supervisor.request_stand,
            "sit": supervisor.request_sit,
            "arm": supervisor.request_arm,
            "pause": supervisor.request_pause,
            "estop": lambda now: supervisor.request_stop(now, "emergency stop by the operator"),
            "reset": supervisor.request_reset,
        }
        for name, request in requests.items():
            node.create_service(Trigger, f"~/{name}", self._service(name, request))

    def tick(self, now: float) -> None:
        """Read, decide, write, publish. Never raises: a failure stops the robot and is logged."""
        try:
            self._timing.turn(now)
            state = self._read()
            before, target = self._supervisor.mode, self.target
            decision = self._supervisor.step(now, state, target, self._velocity)
            written = math.nan
            try:
                self._driver.write(decision.command)
                written = time.monotonic()
                self.log.record(now, decision, target, written)
                self._publish_state(now, state)
                self._publish_safety(written, decision)
            finally:  # turns that fail are what a black box is for
                if self._black_box is not None and self._supervisor.reading is not None:
                    self._black_box.tick(now, written, before, decision, self._supervisor.reading, target)
            if self._diagnostics.due():
                self._report(now, decision)
        except Exception as error:  # this loop is the only way to the robot, and must outlive every fault
            self._fail(error)
            self.damp()

    def _read(self) -> RobotState | None:
        try:
            return self._driver.read()
        except Exception as error:  # the supervisor must have its turn even so: it is what stops the robot
            self._fail(error)
            return None

    def damp(self) -> None:
        """Write the damping command; a driver that fails is logged."""
        try:
            self._driver.write(self._supervisor.damping_command())
        except Exception as error:
            self._node.get_logger().error(f"the robot could not be damped: {error}", throttle_duration_sec=1.0)

    def _on_command(self, message: JointState) -> None:
        try:
            self._check_frame(message.header.frame_id)
            target = self._order.read(message, "position")
        except MessageError as error:
            self._refused += 1
            self._node.get_logger().error(f"joint command refused: {error}", throttle_duration_sec=1.0)
            return
        self.target = Target(self._clock.from_ros(message.header.stamp), time.monotonic(), target)

    def _check_frame(self, frame: str) -> None:
        if self._frame and frame.startswith(BUNDLE_FRAME) and frame != self._frame:
            raise MessageError(
                "frame_id: its bundle has other gains, limits or thresholds than ours: restart robot_node with it"
            )

    def _on_velocity(self, message: TwistStamped | Twist) -> None:
        """For the supervisor, which judges what is asked for; policy_node brings it into range by itself."""
        values = conversions.velocity_command(message.twist if isinstance(message, TwistStamped) else message)
        # An element that cmd_vel does not carry is refused by policy_node.
        self._velocity = tuple(values.get(name, 0.0) for name in self._supervisor.limits.command_elements or ())

    def _service(
        self, name: str, request: Callable[[float], tuple[bool, str]]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def serve(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.success, response.message = request(time.monotonic())
            except Exception as error:  # as in `guarded`
                self._fail(error)
                response.success, response.message = False, f"{name} failed: {error}"
            self._node.get_logger().info(f"{name}: {response.message}")
            return response

        return serve

    def _fail(self, error: Exception) -> None:
        reason = f"robot_node failed: {type(error).__name__}: {error}"
        self._node.get_logger().error(reason, throttle_duration_sec=1.0)
        self._supervisor.request_stop(time.monotonic(), reason)

    def _listen(self, black_box: BlackBox) -> None:
        """Record what others say; what is recorded as it comes in is not unpacked."""
        black_box.offset = stamp_key(self._clock.to_ros(0.0))

        def record(topic: str) -> Callable[[bytes], None]:
            return guarded(lambda data: black_box.message(topic, time.monotonic(), data), self._fail)

        for topic, type_, name, profile in (
            (recording.CMD_VEL, TwistStamped, "cmd_vel", qos.STREAM_SUBSCRIBER),
            (recording.STEPS, Float64MultiArray, "policy_node/steps", qos.RECORD),
        ):
            self._node.create_subscription(type_, name, record(topic), profile, raw=True)

        def on_twist(message: Twist) -> None:
            stamped = TwistStamped(twist=message)
            stamped.header.stamp = self._clock.to_ros(time.monotonic())
            black_box.message(recording.CMD_VEL, time.monotonic(), serialize_message(stamped))

        twist = guarded(on_twist, self._fail)
        self._node.create_subscription(Twist, "cmd_vel_unstamped", twist, qos.STREAM_SUBSCRIBER)

    def _publish_state(self, now: float, state: RobotState | None) -> None:
        if state is None or state.stamp == self._last_stamp:
            return
        self._last_stamp = state.stamp
        stamp = self._clock.to_ros(state.stamp)
        self._joint_states.publish(conversions.joint_state_message(self._robot.joint_names, state, stamp))
        self._imu.publish(conversions.imu_message(state, stamp, self._imu_frame))
        if self._black_box is not None:
            self._black_box.state(now, state)

    def _publish_safety(self, now: float, decision: Decision) -> None:
        for trip in decision.new_trips:
            self._trip_count += 1
            self._trips = [*self._trips, trip.message][-_LAST_TRIPS:]
            self._node.get_logger().warning(f"{trip.reaction.name.lower()}: {trip.message}")
        # The sentences in `causes` carry figures that change all the time: no reason to publish.
        news = (decision.mode, decision.reaction, self._trip_count, self._refused)
        if news == self._published and now - self._published_time < _REPORT_PERIOD:
            return
        if self._published is None or self._published[0] is not decision.mode:
            self._node.get_logger().info(f"mode: {decision.mode.value}")
        self._published, self._published_time = news, now
        report = SafetyReport(
            decision.mode,
            decision.reaction,
            decision.causes,
            self._trip_count,
            tuple(self._trips),
            self._refused,
        )
        message = safety_report.to_message(report, self._robot.name, self._clock.to_ros(now))
        self._safety.publish(message)
        if self._black_box is not None:
            self._black_box.message(recording.SAFETY, now, serialize_message(message))
            self._warn_of_gaps(self._black_box.lost)

    def _report(self, now: float, decision: Decision) -> None:
        try:
            values = self._timing.take() | {
                "not judged": ", ".join(self._supervisor.unjudged) or "none",
                "refused commands": str(self._refused),
                "black box losses": str(self._lost),
            }
            for losses in self._losses:
                values |= losses.values()
            values |= {
                name.replace("_", " "): str(count)
                for name, count in sorted(vars(self._driver).items())
                if not name.startswith("_") and isinstance(count, int)
            }
            level = diagnostics.OK if decision.reaction is Reaction.NONE else diagnostics.WARN
            statuses = [diagnostics.status("loop", decision.mode.value, values, self._robot.name, level)]
            if (reading := self._supervisor.reading) is not None:
                margins = figures.margins(reading, self._supervisor.thresholds)
                signals = figures.signals(reading)
                statuses.append(diagnostics.status(figures.MARGINS, "figure / limit", margins, self._robot.name))
                statuses.append(diagnostics.status(figures.SIGNALS, "newest sample", signals, self._robot.name))
            self._diagnostics.publish(self._clock.to_ros(now), *statuses)
        except Exception as error:  # a report is no reason to stop a robot
            self._node.get_logger().error(f"no diagnostics: {error}", throttle_duration_sec=10.0)

    def _warn_of_gaps(self, lost: int) -> None:
        if lost > self._lost:
            self._node.get_logger().warning(f"black box: {lost} messages not recorded", throttle_duration_sec=10.0)
        self._lost = lost


def _black_box(node: Node, settings: RobotNodeParameters, robot: Robot, bundle: Bundle | None) -> BlackBox | None:
    """None, with the reason in the log, where nothing can be recorded: a robot that runs matters more."""
    about = recording.about(robot.name)
    if bundle is not None:
        about = recording.about(robot.name, bundle.digest, bundle.files[policy_contract.FILE])
    folder = settings.black_box or str(Path(os.environ.get("ROS_HOME", "~/.ros")).expanduser() / "landbridge")
    try:
        config = BlackBoxConfig(folder, about, node.get_namespace(), settings.record)
        return BlackBox(config, robot.joint_names, settings.imu_frame)
    except LandbridgeError as error:
        node.get_logger().warning(f"no black box: {error}")
        return None


def serve(stop: StopSignal) -> None:
    """Run the node until a stop signal.

    Raises:
        UsageError: a parameter that makes no sense.
        BundleError: a bundle that is damaged, for another robot, loosens a limit, or is signed by no trusted key.
        LandbridgeError: the robot does not answer, or the log cannot be written.
    """
    with joined():
        node = Node("robot_node")
        settings = declare(node, RobotNodeParameters)
        robot = robots.load(settings.robot)
        trusted = trust.configured(settings.trusted_keys)
        bundle = read_bundle(Path(settings.bundle), trusted) if settings.bundle else None
        supervisor = Supervisor(robot, bundle.contract if bundle else None)
        executor = make_executor(node.context)
        executor.add_node(node)
        black_box = _black_box(node, settings, robot, bundle)
        with black_box or contextlib.nullcontext():  # its files take their time, so the robot is left first
            with drivers.load(settings.driver, robot, settings.address, settings.dry_run) as driver:
                digest = control_digest(bundle.contract) if bundle else ""
                robot_node = RobotNode(node, robot, driver, supervisor, settings.imu_frame, black_box, digest)
                if settings.dry_run:
                    node.get_logger().info("dry run: the robot is never written")
                for refusal in RealTime(
                    settings.priority, settings.cpus, settings.lock_memory, settings.freeze_garbage
                ).ask():
                    node.get_logger().info(refusal)
                try:
                    run_paced(executor, lambda: 1.0 / settings.rate, robot_node.tick, lambda: stop.received)
                finally:
                    for _ in range(_LAST_COMMANDS):
                        robot_node.damp()
                        time.sleep(1.0 / settings.rate)
            if settings.log:
                robot_node.log.save(Path(settings.log))
        node.destroy_node()


if __name__ == "__main__":
    sys.exit(run_process(serve))
