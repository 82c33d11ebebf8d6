"""What a robot driver is: read the newest state, write a joint command, say what the robot can do.

A driver hides one robot's bus. It converts at its own border: joints in the order of the robot description,
SI units, radians, quaternions (w, x, y, z). It checks nothing about safety and holds nothing back:
whatever the bus says goes up, NaN included, and the supervisor judges it.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RobotState:
    """One sample of a robot's sensors.

    Attributes:
        stamp: s, when the sample was taken, on this computer's steady clock (`time.monotonic`). Where the
            robot's clock cannot be converted, when the sample arrived.
        seq: counter that the robot changes with each new sample; an unchanged one means the same sample.
        joint_pos: (num_joints,) rad.
        joint_vel: (num_joints,) rad/s.
        imu_quat: (4,) w, x, y, z, world_from_imu.
        gyro: (3,) rad/s, IMU frame.
        joint_torque: (num_joints,) N m, measured or estimated by the drives; None where not reported.
        accel: (3,) m/s^2, IMU frame, gravity included; None where not reported.
        temperature: (num_joints,) degrees Celsius, motors; None where not reported.
        battery: remaining charge from 0 to 1; None where not reported.
        foot_force: (num_feet,) N, normal to the ground, in the order of the robot's feet; None where not reported, as
            by sensors that count in a unit of their own.

    A robot that reports temperatures, its battery or foot forces does so in every state: one that falls silent about
    them is no sound state.
    """

    stamp: float
    seq: int
    joint_pos: Array
    joint_vel: Array
    imu_quat: Array
    gyro: Array
    joint_torque: Array | None = None
    accel: Array | None = None
    temperature: Array | None = None
    battery: float | None = None
    foot_force: Array | None = None


@dataclass(frozen=True, eq=False)
class JointCommand:
    """What each drive is to do: torque = kp (joint_target - joint_pos) - kd joint_vel, within its limits.

    Attributes:
        joint_target: (num_joints,) rad.
        kp: (num_joints,) N m/rad; 0 where the drive shall only damp.
        kd: (num_joints,) N m s/rad.
    """

    joint_target: Array
    kp: Array
    kd: Array


@dataclass(frozen=True)
class Capabilities:
    """What a driver's robot offers.

    Attributes:
        state_rate: Hz, how often the robot sends a new state.
        watchdog: s without a command after which the robot damps by itself; None if it never does.
        hardware: whether writing moves something that can hurt somebody.
    """

    state_rate: float
    watchdog: float | None
    hardware: bool


class Driver(Protocol):
    """A robot behind five calls, used by one thread."""

    @property
    def capabilities(self) -> Capabilities:
        """`hardware` is known at any time, the rest after `open`."""
        ...

    def open(self) -> None:
        """Connect, and wait a bounded time for the robot to answer.

        Raises:
            LandbridgeError: it did not, with what to check.
        """
        ...

    def read(self) -> RobotState | None:
        """The newest state, without waiting; again the same if there is no newer, None before the first."""
        ...

    def write(self, command: JointCommand) -> None:
        """Send a command, without waiting."""
        ...

    def close(self) -> None:
        """Disconnect. May be called twice, and after a failed `open`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
