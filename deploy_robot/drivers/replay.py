"""Driver that plays a black-box recording as if it were a robot."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np

from contract.errors import LandbridgeError, UsageError
from contract.robot import Robot
from deploy_robot import cdr
from deploy_robot.driver import Array, Capabilities, JointCommand, RobotState
from deploy_robot.recording import IMUS, JOINT_STATES, Recording, read_recording

_NANOSECOND = 1e-9  # s


class ReplayDriver:
    """Gives the samples of a recording at the pace at which they were recorded (a `deploy_robot.driver.Driver`).

    The robot in it moves as it once did, whatever it is told: commands are counted and go nowhere. After the last
    sample it is silent, as a robot whose cable is out. Temperatures and battery are not recorded.

    Args:
        robot: which robot must have been recorded.
        address: path of the recording (MCAP).

    Raises:
        UsageError: no path is given.
    """

    def __init__(self, robot: Robot, address: str = "") -> None:
        if not address:
            raise UsageError("driver replay: give the path of a recording as its address, as in run-1.mcap")
        self._robot = robot
        self._path = Path(address)
        self._samples: list[tuple[float, RobotState]] = []  # s after the first, by which it was there; its own stamp
        self._next = 0
        self._start = 0.0
        self._state: RobotState | None = None
        self.rejected_frames = 0  # messages that were no sound samples of this robot
        self.withheld_commands = 0

    @property
    def capabilities(self) -> Capabilities:
        """See `Driver`."""
        seconds = self._samples[-1][0] if self._samples else 0.0
        rate = (len(self._samples) - 1) / seconds if seconds else 0.0
        return Capabilities(state_rate=rate, watchdog=None, hardware=False)

    def open(self) -> None:
        """See `Driver`. Reads the whole recording."""
        recording = read_recording(self._path)
        if (recorded := recording.about.get("robot", "")) != self._robot.name:
            raise LandbridgeError(f"{self._path}: is of a {recorded or 'robot without a name'}, not {self._robot.name}")
        self._samples = self._read_samples(recording)
        if not self._samples:
            raise LandbridgeError(f"{self._path}: holds no sample of joints and IMU of a {self._robot.name}")
        self._next, self._state, self._start = 0, None, time.monotonic()

    def read(self) -> RobotState | None:
        """See `Driver`."""
        if not self._samples:
            raise LandbridgeError(f"{self._path}: not open")
        elapsed = time.monotonic() - self._start
        before = self._next
        while self._next < len(self._samples) and self._samples[self._next][0] <= elapsed:
            self._next += 1
        if self._next > before:
            sample = self._samples[self._next - 1][1]
            self._state = replace(sample, stamp=self._start + sample.stamp)
        return self._state

    def write(self, command: JointCommand) -> None:
        """See `Driver`."""
        self.withheld_commands += 1

    def close(self) -> None:
        """See `Driver`."""
        self._samples = []

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read_samples(self, recording: Recording) -> list[tuple[float, RobotState]]:
        """Joints and IMU of the same stamp, in order; times count from the first."""
        imus: dict[int, tuple[Array, Array, Array | None]] = {}
        for message in recording.messages.get(IMUS, ()):
            try:
                stamp, quat, gyro, accel = cdr.read_imu(message.data)
                imus[stamp] = (quat, gyro, accel)
            except cdr.CdrError:
                self.rejected_frames += 1
        samples: list[tuple[float, RobotState]] = []
        first: int | None = None
        n = self._robot.num_joints
        for message in recording.messages.get(JOINT_STATES, ()):
            try:
                stamp, names, *arrays = cdr.read_joint_state(message.data)
            except cdr.CdrError:
                self.rejected_frames += 1
                continue
            position, velocity, effort = arrays
            sizes = (position.size, velocity.size, effort.size or n)
            if stamp not in imus or sorted(names) != sorted(self._robot.joint_names) or sizes != (n, n, n):
                self.rejected_frames += 1
                continue
            first = message.time if first is None else first
            order = np.array([names.index(name) for name in self._robot.joint_names])
            quat, gyro, accel = imus[stamp]
            state = RobotState(
                stamp=_NANOSECOND * (stamp - first),
                seq=len(samples) + 1,
                joint_pos=position[order],
                joint_vel=velocity[order],
                imu_quat=quat,
                gyro=gyro,
                joint_torque=effort[order] if effort.size else None,
                accel=accel,
            )
            samples.append((_NANOSECOND * (message.time - first), state))
        return samples
