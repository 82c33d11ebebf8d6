"""What the emulated robot's sensors make of the truth: noise, a bias for the whole run, and a delay."""

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from deploy_robot.drivers.emulated_bus import LowState
from hil_tests.robot_physics import Sample

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SensorConfig:
    """Standard deviations of white noise and of the biases, and the range of the delay (uniform)."""

    joint_pos_noise: float = 0.002  # rad
    joint_pos_bias: float = 0.005  # rad, zero offset of an encoder
    joint_vel_noise: float = 0.1  # rad/s
    joint_torque_noise: float = 0.2  # N m
    attitude_noise: float = 0.003  # rad about each axis
    attitude_bias: float = 0.008  # rad about each axis, misalignment of the IMU
    gyro_noise: float = 0.02  # rad/s
    gyro_bias: float = 0.005  # rad/s
    accel_noise: float = 0.1  # m/s^2
    accel_bias: float = 0.05  # m/s^2
    min_delay: float = 0.002  # s, from sampling to the frame on the bus
    max_delay: float = 0.005  # s


class SensorModel:
    """Draws its biases once from `rng`, and noise and delay for every sample."""

    def __init__(self, config: SensorConfig, num_joints: int, rng: np.random.Generator) -> None:
        self._config = config
        self._joints = num_joints
        self._rng = rng
        self._joint_pos_bias = config.joint_pos_bias * rng.standard_normal(num_joints)
        self._gyro_bias = config.gyro_bias * rng.standard_normal(3)
        self._accel_bias = config.accel_bias * rng.standard_normal(3)
        self._attitude_bias = config.attitude_bias * rng.standard_normal(3)

    def measure(self, sample: Sample, sequence: int) -> LowState:
        """The state frame of one sample."""
        config, joints = self._config, self._joints
        noise = self._rng.standard_normal(3 * joints + 9)
        return LowState(
            sequence,
            sample.time,
            sample.joint_pos + self._joint_pos_bias + config.joint_pos_noise * noise[:joints],
            sample.joint_vel + config.joint_vel_noise * noise[joints : 2 * joints],
            sample.commanded_torque + config.joint_torque_noise * noise[2 * joints : 3 * joints],
            _rotated(sample.imu_quat, self._attitude_bias + config.attitude_noise * noise[-3:]),
            sample.gyro + self._gyro_bias + config.gyro_noise * noise[-6:-3],
            sample.accel + self._accel_bias + config.accel_noise * noise[-9:-6],
        )

    def delay(self) -> float:
        """Time until the frame of a sample leaves, s."""
        return float(self._rng.uniform(self._config.min_delay, self._config.max_delay))


def _rotated(quat: Array, rotation_vector: Array) -> Array:
    """`quat` (w, x, y, z) turned by a small rotation vector (rad) given in its own frame."""
    turned = quat.copy()
    mujoco.mju_quatIntegrate(turned, rotation_vector, 1.0)
    return turned
