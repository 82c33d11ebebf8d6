"""policy_node: a lifecycle node that runs a policy bundle on robot_node's sensors.

    python -m deploy_robot.ros.policy_node --ros-args -p bundle:=PATH

configure loads and verifies the bundle and replays its golden traces; activate starts publishing joint
targets on `robot_node/joint_command`, each with the stamp of the sensor sample it was computed from. The node
publishes nothing while its inputs are stale, and leaves what that means for the robot to the supervisor. On
`~/steps` it tells robot_node's black box what the graph was given and what it gave, so that a recording can be
replayed.

Until the supervisor lets the policy drive, every step starts from zero memory, so that the policy takes over
just as each of its training episodes began. In a dry run, where it never will, the memory is carried from the first
step on.

Another bundle is taken up by deactivate, cleanup, a new value of the parameter `bundle`, configure and activate, in
that order; the parameter is refused at any other time. robot_node refuses the targets of a bundle whose gains, limits
or thresholds are not those that it was started with.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from contract.errors import LandbridgeError, UsageError
from deploy_robot.control_digest import control_digest
from deploy_robot.onnx_policy import OnnxPolicy, load_policy
from deploy_robot.policy_steps import StepEncoder
from deploy_robot.process import StopSignal, run_process
from deploy_robot.real_time import RealTime
from deploy_robot.ring_log import RingLog, save_npz
from deploy_robot.ros import conversions, diagnostics, qos, safety_report
from deploy_robot.ros.context import joined
from deploy_robot.ros.diagnostics import Diagnostics, LoopTiming, Losses
from deploy_robot.ros.parameters import declare, parameter
from deploy_robot.ros.policy_inputs import CommandInput, SensorPair, SignalReader, check_inputs
from deploy_robot.ros.spin import guarded, make_executor, run_paced
from deploy_robot.supervisor import Mode

_IDLE_PERIOD = 0.02  # s between turns of the loop while there is no policy
_STALE_PERIODS = 3.0  # control periods without a new sensor sample after which nothing is published
_SAMPLE_LEAD = 0.0005  # s by which a sample shall be here before the step that uses it
MAX_TRIM = 0.0001  # s of the control period
_LOG_CAPACITY = 200_000  # rows: over an hour at 50 Hz


@dataclass(frozen=True)
class PolicyNodeParameters:
    """ROS parameters of the node."""

    bundle: str = parameter("", "policy bundle, a directory or zip; to be changed while unconfigured", read_only=False)
    trusted_keys: str = parameter("", "PEM file or folder of keys that may sign bundles; empty: the environment's")
    command_timeout: float = parameter(0.5, "s without cmd_vel after which the command is zero", 0.05, 10.0)
    dry_run: bool = parameter(False, "carry the memory although the supervisor lets nobody drive")
    priority: int = parameter(40, "real-time priority to ask the system for; 0 for none", 0, 99)
    cpus: str = parameter("", "processors to stay on, such as 2,3 or 2-3; empty for all")
    lock_memory: bool = parameter(False, "keep every page in memory")
    freeze_garbage: bool = parameter(True, "spare what start-up left behind from garbage collection")
    log: str = parameter("", "npz file for timing, written at the end; empty for none")


@dataclass(frozen=True)
class _Loaded:
    """What configure makes of a bundle."""

    policy: OnnxPolicy
    reader: SignalReader
    command: CommandInput
    encoder: StepEncoder
    targets: LifecyclePublisher[JointState]
    frame: str  # of the targets


class PolicyNode(LifecycleNode):  # type: ignore[misc]  # rclpy is typed only in part
    """Steps the graph once a control period while active. `tick` is one turn of the loop.

    Args:
        options: of `rclpy.node.Node`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("policy_node", **options)
        self.settings = declare(self, PolicyNodeParameters)
        self._loaded: _Loaded | None = None
        self.active = False  # in the lifecycle's sense
        self._robot_mode: Mode | None = None
        self._sensors = SensorPair()
        self._trim = 0.0  # s
        self._restart = True  # of the memory, in a dry run
        self._log = RingLog({"step_time": (), "step_duration": ()}, _LOG_CAPACITY)
        self._timing = LoopTiming()
        self._stale_steps = 0
        self._diagnostics = Diagnostics(self)
        joints, imus = (Losses(topic, self._fail, lambda: self.active) for topic in ("joint_states", "imu"))
        self._sent = Losses("robot_node/joint_command", self._fail, lambda: self.active)
        self._losses = (joints, imus, self._sent)
        # A lifecycle publisher is silent unless the node is active.
        self._steps = self.create_lifecycle_publisher(Float64MultiArray, "~/steps", qos.RECORD)
        for type_, topic, callback, profile, losses in (
            (JointState, "joint_states", self._on_joint_state, qos.SENSOR_SUBSCRIBER, joints),
            (Imu, "imu", self._on_imu, qos.SENSOR_SUBSCRIBER, imus),
            (TwistStamped, "cmd_vel", self._on_command, qos.STREAM_SUBSCRIBER, None),
            (Twist, "cmd_vel_unstamped", self._on_twist, qos.STREAM_SUBSCRIBER, None),
            (DiagnosticArray, "robot_node/safety", self._on_safety, qos.STATUS, None),
        ):
            events = losses.subscription() if losses else None
            self.create_subscription(type_, topic, guarded(callback, self._fail), profile, event_callbacks=events)
        self.add_on_set_parameters_callback(self._judge_parameters)
        self.add_post_set_parameters_callback(guarded(self._take_parameters, self._fail))

    @property
    def period(self) -> float:
        """Until the next turn of the loop, s: the policy's control period, trimmed to step just after a sample comes.

        Sensors and policy run at rates that divide each other, so a policy that by chance steps just before the next
        sample would do so all the time, with a delay that need not be.
        """
        return self._loaded.policy.contract.control_period - self._trim if self._loaded else _IDLE_PERIOD

    def tick(self, now: float) -> None:
        """One control period. Never raises: a failure is logged and deactivates the node."""
        try:
            if self.active and self._loaded is not None:
                self._timing.turn(now)
                self._step(self._loaded, now)
            else:
                self._timing.pause()
            if self._diagnostics.due():
                self._report()
        except Exception as error:  # a loop that died silently would look like a slow one
            self._fail(error)

    def save_log(self) -> None:
        """Write the timing log where the parameter says so. LandbridgeError where that fails."""
        if self.settings.log:
            save_npz(Path(self.settings.log), self._log.arrays())

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, verify and replay the bundle; FAILURE with the reason in the log otherwise."""
        try:
            self._loaded = self._load()
        except LandbridgeError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start publishing."""
        self.active = self._restart = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop publishing."""
        self.active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the bundle."""
        self._forget()
        return super().on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an exception in a transition: back to unconfigured."""
        self.active = False
        self._forget()
        return super().on_error(state)

    def _forget(self) -> None:
        if self._loaded is not None:
            self.destroy_lifecycle_publisher(self._loaded.targets)
            self._loaded = None

    def _load(self) -> _Loaded:
        if not self.settings.bundle:
            raise UsageError("parameter bundle of policy_node: give the path of a policy bundle")
        policy = load_policy(Path(self.settings.bundle), trusted_keys=self.settings.trusted_keys)
        contract = policy.contract
        check_inputs(contract)
        command = CommandInput(contract, self.settings.command_timeout)
        targets = self.create_lifecycle_publisher(
            JointState,
            "robot_node/joint_command",
            qos.command_publisher(contract.control_period),
            event_callbacks=self._sent.publisher(),
        )
        frame = conversions.BUNDLE_FRAME + control_digest(contract)
        return _Loaded(policy, SignalReader(contract), command, StepEncoder(contract), targets, frame)

    def _step(self, loaded: _Loaded, now: float) -> None:
        policy = loaded.policy
        pair = self._sensors.newest(now, _STALE_PERIODS * policy.contract.control_period)
        if pair is None:
            self.get_logger().warning("no fresh sensors, no target", throttle_duration_sec=1.0)
            self._stale_steps += 1
            return
        reset = self._restart if self.settings.dry_run else self._robot_mode is not Mode.ACTIVE
        self._restart = False
        if reset:
            policy.reset()
        signals = loaded.reader.read(*pair, loaded.command.value(now))
        memory = policy.memory
        target = policy.step(signals)[0]
        names, stamp = policy.contract.joint_names, pair[0].header.stamp
        loaded.targets.publish(conversions.joint_target_message(names, target, stamp, loaded.frame))
        self._log.append(now, time.monotonic() - now)
        self._trim = trim(self._sensors.age(now))
        self._steps.publish(loaded.encoder.encode(reset, signals, memory, target))

    def _on_joint_state(self, message: JointState) -> None:
        self._sensors.offer_joint(message, time.monotonic())

    def _on_imu(self, message: Imu) -> None:
        self._sensors.offer_imu(message, time.monotonic())

    def _on_command(self, message: TwistStamped) -> None:
        self._on_twist(message.twist)

    def _on_twist(self, message: Twist) -> None:
        if self._loaded:
            self._loaded.command.offer(conversions.velocity_command(message), time.monotonic())

    def _on_safety(self, message: DiagnosticArray) -> None:
        self._robot_mode = safety_report.from_message(message).mode

    def _judge_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        if self._loaded is not None and any(given.name == "bundle" for given in parameters):
            reason = "a bundle is loaded: deactivate and clean up this node first"
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _take_parameters(self, parameters: list[Parameter]) -> None:
        for given in parameters:
            if given.name == "bundle":
                self.settings = replace(self.settings, bundle=given.value)

    def _report(self) -> None:
        values = self._timing.take() | {"steps without fresh sensors": str(self._stale_steps)}
        for losses in self._losses:
            values |= losses.values()
        state = "active" if self.active else "inactive" if self._loaded else "unconfigured"
        stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(stamp, diagnostics.status("loop", state, values))

    def _fail(self, error: Exception) -> None:
        self.get_logger().error(f"{type(error).__name__}: {error}", throttle_duration_sec=1.0)
        if self.active:
            self.trigger_deactivate()


def trim(age: float) -> float:
    """By how much, s, to shorten the next control period after a step on a sample that had come `age` s before."""
    return min(max(age - _SAMPLE_LEAD, -MAX_TRIM), MAX_TRIM)


def serve(stop: StopSignal) -> None:
    """Run the node until a stop signal; LandbridgeError for a wrong parameter or a log that cannot be written."""
    with joined():
        node = PolicyNode()
        executor = make_executor(node.context)
        executor.add_node(node)
        settings = node.settings
        for refusal in RealTime(settings.priority, settings.cpus, settings.lock_memory, settings.freeze_garbage).ask():
            node.get_logger().info(refusal)
        run_paced(executor, lambda: node.period, node.tick, lambda: stop.received)
        node.save_log()
        node.destroy_node()


if __name__ == "__main__":
    sys.exit(run_process(serve))
