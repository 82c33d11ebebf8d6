"""The stack that the trials of `benchmarks.reaction` run in."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from benchmarks.reaction import BUNDLE, reaction_time
from contract import robots
from contract.bundle import read_bundle
from contract.errors import LandbridgeError
from contract.robot import Robot
from deploy_robot.children import Child
from deploy_robot.decision import LATCHED, Mode
from deploy_robot.real_time import Scheduling
from deploy_robot.ros import conversions, qos
from deploy_robot.ros.operator import Operator
from deploy_robot.stack import Stack, StackConfig
from deploy_robot.supervisor_config import HOLD_WINDOW
from hil_tests.faults import (
    BusFault,
    BusLoss,
    Killed,
    ProcessFault,
    Slowed,
    Stopped,
    TurnedImu,
    faults_enabled,
    in_background,
)
from hil_tests.faulty_bus import send_fault
from hil_tests.faulty_process import faulty_robot
from policies import bundles

_PATIENCE = 60.0  # s, for anything that needs several turns
_ANSWER = 2.0  # s, for one request
_TRY = 0.5  # s, for a request to a node that may not be there yet
_SETTLED = 0.35  # s that the policy has been driving with its own gains before a fault strikes
_LEAD, _AFTER = 0.05, 0.1  # s between the order for a fault and the fault, and to wait when it is over
_HOLDS, _HOLD_WINDOW = 5, HOLD_WINDOW + 0.3  # what the constraint repeated_holds permits; s, with some slack
_NAN_PERIOD, _NANS = 0.001, 10  # s between messages, and how many
_PROCESS_FAULTS: dict[str, Callable[[float], ProcessFault]] = {
    "stopped": lambda start: Stopped(start, 0.15),
    "slowed": lambda start: Slowed(start, 0.3),
    "killed": lambda start: Killed(start, 0.0),
}


class Trials:
    """Trials in one stack.

    Args:
        out: folder for logs.
        seed: of the robot and of the phases at which faults strike.
    """

    def __init__(self, out: Path, seed: int) -> None:
        self._random = Random(seed)
        self._control, self._commands = out / "control", out / "commands.npz"
        bundle = bundles.path(BUNDLE)
        self._robot = robots.load(read_bundle(bundle).contract.robot)
        config = StackConfig(bundle, self._robot.name, out, scheduling=Scheduling(priority=0))
        self._stack = Stack(config, faulty_robot(seed, self._control, self._commands))
        self._operator: Operator
        self._policy: Child
        self._holds: list[float] = []

    def run(self, order: Sequence[str], show: Callable[[int], None]) -> list[tuple[str, float]]:
        """Let faults strike one after the other.

        Args:
            order: of `benchmarks.reaction.FAULTS`.
            show: told how many have struck.

        Returns:
            Fault and reaction time, s, of each trial that was sound.

        Raises:
            LandbridgeError: the robot would not walk, or not one trial of some fault was sound.
        """
        struck: list[float] = []
        with faults_enabled(), self._stack as stack:
            stack.start()
            self._policy = stack.children["policy_node"]
            with Operator(stack.domain) as operator, GarbageSender(stack.domain, self._robot) as send_garbage:
                self._operator = operator
                operator.wait_for(lambda: operator.safety is not None, "no safety report", _PATIENCE)
                for fault in order:
                    self._let_it_drive(holds=fault != "tilt")
                    struck.append(self._strike(fault, send_garbage))
                    show(len(struck))
        with np.load(self._commands) as commands:
            times = [(fault, reaction_time(commands, moment)) for fault, moment in zip(order, struck, strict=True)]
        sound = [(fault, seconds) for fault, seconds in times if seconds is not None]
        if unsound := set(order) - {fault for fault, _ in sound}:
            raise LandbridgeError(f"no trial of {', '.join(sorted(unsound))} was sound: the gains changed before")
        return sound

    def _strike(self, fault: str, send_garbage: Callable[[], float]) -> float:
        """Have a fault strike at a random phase, wait for what follows; returns when it struck, s."""
        start = time.monotonic() + _LEAD + self._random.uniform(0.0, 0.02)
        wait = self._operator.spin
        match fault:
            case "nan_target":
                wait(max(0.0, start - time.monotonic()))
                struck = send_garbage()
                wait(_AFTER)
            case "stale_state" | "tilt":
                struck, bus_fault = start, self._bus_fault(fault, start)
                send_fault(self._control, bus_fault)
                wait(_LEAD + bus_fault.duration + _AFTER)
            case _:
                process_fault = _PROCESS_FAULTS[fault](start)
                finish = in_background(lambda: process_fault.inject(self._policy.pid))
                wait(_LEAD + process_fault.duration + _AFTER)
                struck = finish()
        if fault == "killed":
            self._ask("pause")  # so that the robot stands while the next policy starts
            self._policy.kill()
            self._policy = self._stack.start_policy_node()
        if fault != "tilt":
            self._holds.append(time.monotonic())
        return struck

    def _bus_fault(self, fault: str, start: float) -> BusFault:
        if fault == "tilt":
            return TurnedImu(start, 0.2, seed=self._random.randrange(2**31))
        return BusLoss(start, 0.12)

    def _let_it_drive(self, holds: bool) -> None:
        """Bring the robot, whatever it does, to where the policy has been driving it for a moment.

        With `holds`, wait until it may hold once more without counting as one that holds again and again.
        """
        operator, deadline = self._operator, time.monotonic() + _PATIENCE
        if holds and len(self._holds) >= _HOLDS:
            operator.spin(max(0.0, self._holds[-_HOLDS] + _HOLD_WINDOW - time.monotonic()))
        driving_since: float | None = None
        while driving_since is None or time.monotonic() - driving_since < _SETTLED:
            if time.monotonic() > deadline:
                assert operator.safety is not None
                raise LandbridgeError(f"the policy does not drive: {operator.safety}")
            mode = self._mode
            driving_since = (driving_since or time.monotonic()) if mode is Mode.ACTIVE else None
            if mode in LATCHED:
                self._ask("reset")
            elif mode is Mode.PASSIVE:
                self._ask("stand")
            elif mode is Mode.READY:
                self._arm()
            operator.spin(0.02)

    def _arm(self) -> None:
        """Ask for it; where the policy is not running yet, start it."""
        operator = self._operator
        if self._ask("arm"):
            return
        try:
            self._policy.check()
            # Both are refused where they have been done, and lost where the node is not there yet.
            operator.configure_policy(_TRY)
            operator.activate_policy(_TRY)
        except LandbridgeError as error:
            if "ended" in str(error):
                raise

    def _ask(self, request: str) -> bool:
        """Whether it is accepted; a robot_node that has no time to answer is asked again later."""
        try:
            return self._operator.request(request, _ANSWER)[0]
        except LandbridgeError:
            self._stack.children["robot_node"].check()
            return False

    @property
    def _mode(self) -> Mode:
        assert self._operator.safety is not None
        return self._operator.safety.mode


class GarbageSender:
    """A node that sends targets of NaN to robot_node; entered, a function that does, and says when it began."""

    def __init__(self, domain: int, robot: Robot) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("garbage", context=self._context)
        self._publisher = self._node.create_publisher(JointState, "robot_node/joint_command", qos.STREAM_PUBLISHER)
        self._robot = robot

    def __enter__(self) -> Callable[[], float]:
        return self._send

    def __exit__(self, *error: object) -> None:
        self._node.destroy_node()
        self._context.try_shutdown()

    def _send(self) -> float:
        """Several, since a sound target that comes in between takes the place of one that has not been looked at."""
        names, target = self._robot.joint_names, np.full(self._robot.num_joints, np.nan)
        began = time.monotonic()
        for _ in range(_NANS):
            stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(conversions.joint_target_message(names, target, stamp))
            time.sleep(_NAN_PERIOD)
        return began
