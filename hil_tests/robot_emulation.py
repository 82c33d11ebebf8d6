"""The emulated robot apart from sockets and the real clock: datagrams in, one timestep, datagrams out."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from contract.robot import Robot
from deploy_robot.drivers.emulated_bus import FrameError
from deploy_robot.ring_log import RingLog
from hil_tests.robot_bus import Codec, UdpCodec
from hil_tests.robot_physics import Command, HiddenParameters, RobotPhysics, Sample
from hil_tests.sensor_model import SensorConfig, SensorModel

_LOG_CAPACITY = 120_000  # rows: ten minutes at 200 Hz


@dataclass(frozen=True)
class EmulationConfig:
    """How the emulated robot behaves. Rates must divide the physics rate."""

    perturb: bool = True  # draw hidden parameters from the seed; otherwise the robot is as described
    physics_rate: int = 1000  # Hz, also that of the motor controllers
    state_rate: int = 500  # Hz, state frames on the bus
    log_rate: int = 200  # Hz, rows of ground truth
    watchdog: float = 0.05  # s without a command after which the motors only damp
    damping: float = 2.0  # N m s/rad, of every joint when they only damp
    sensors: SensorConfig = field(default_factory=SensorConfig)


class RobotEmulation:
    """One robot on its bus, lying in its rest pose at first. All randomness comes from `seed`.

    Args:
        codec: what it speaks; None for the UDP bus of emulated robots.
    """

    def __init__(self, robot: Robot, config: EmulationConfig, seed: int, codec: Codec | None = None) -> None:
        rng = np.random.default_rng(seed)
        drawn = HiddenParameters.draw(robot.num_joints, rng)
        self.hidden = drawn if config.perturb else HiddenParameters()
        self.timestep = 1.0 / config.physics_rate
        self.rejected_frames = 0  # datagrams that were no command, or one that no motor could carry out
        self.watchdog_trips = 0
        self._robot = robot
        self._config = config
        self._codec = codec or UdpCodec()
        self._physics = RobotPhysics(robot, self.hidden, self.timestep)
        self._sensors = SensorModel(config.sensors, robot.num_joints, rng)
        self._damping = Command(
            np.array(robot.rest_pose), np.zeros(robot.num_joints), np.full(robot.num_joints, config.damping)
        )
        self._command = self._damping
        self._command_time = -np.inf
        self._ticks = 0
        self._sequence = 0
        self._outbox: deque[tuple[float, bytes]] = deque()
        self._log = RingLog(_log_fields(robot), _LOG_CAPACITY)

    def tick(self, now: float, datagrams: Iterable[bytes]) -> list[bytes]:
        """Advance by one timestep.

        Args:
            now: time of this step, s; the same clock stamps the state frames.
            datagrams: what arrived on the bus since the last step, oldest first.

        Returns:
            State datagrams whose delay is over.

        Raises:
            LandbridgeError: the physics diverged.
        """
        for datagram in datagrams:
            self._receive(datagram, now)
        if self._command is not self._damping and now - self._command_time > self._config.watchdog:
            self._command = self._damping
            self.watchdog_trips += 1
        sample = self._physics.step(now, self._command)
        if self._is_due(self._config.state_rate):
            self._enqueue(sample)
        if self._is_due(self._config.log_rate):
            self._record(sample)
        self._ticks += 1
        due = []
        while self._outbox and self._outbox[0][0] <= now:
            due.append(self._outbox.popleft()[1])
        return due

    def ground_truth(self) -> dict[str, np.ndarray]:
        """What really happened, one array a quantity, time first; units as in `robot_physics.Sample`."""
        return self._log.arrays()

    def _receive(self, datagram: bytes, now: float) -> None:
        try:
            command = self._codec.decode(datagram)
        except FrameError:
            self.rejected_frames += 1
            return
        if not self._is_executable(command):
            self.rejected_frames += 1
            return
        self._command = command
        self._command_time = now

    def _is_executable(self, command: Command) -> bool:
        parts = (command.target, command.kp, command.kd, command.vel, command.torque)
        return command.target.size == self._robot.num_joints and all(np.isfinite(part).all() for part in parts)

    def _is_due(self, rate: int) -> bool:
        return self._ticks % (self._config.physics_rate // rate) == 0

    def _enqueue(self, sample: Sample) -> None:
        frame = self._codec.encode(self._sensors.measure(sample, self._sequence))
        self._sequence += 1
        release = sample.time + self._sensors.delay()
        if self._outbox:  # a bus keeps the order
            release = max(release, self._outbox[-1][0])
        self._outbox.append((release, frame))

    def _record(self, sample: Sample) -> None:
        self._log.append(
            sample.time,
            sample.root_pos,
            sample.root_quat,
            sample.root_lin_vel,
            sample.root_ang_vel,
            sample.joint_pos,
            sample.joint_vel,
            sample.joint_torque,
            self._command.target,
            self._command.kp,
            self._command.kd,
            self._physics.foot_forces(),
            self._command is self._damping,
        )


def _log_fields(robot: Robot) -> dict[str, tuple[int, ...]]:
    joints, feet = (robot.num_joints,), (len(robot.feet),)
    return {
        "time": (),  # s, steady clock
        "root_pos": (3,),
        "root_quat": (4,),
        "root_lin_vel": (3,),
        "root_ang_vel": (3,),
        "joint_pos": joints,
        "joint_vel": joints,
        "joint_torque": joints,
        "joint_target": joints,
        "kp": joints,
        "kd": joints,
        "foot_force": feet,
        "watchdog": (),  # 1 while the robot damps because no commands come
    }
