"""From the true state to what the robot's sensors report: offset, bias, noise and delay on the raw signals.

These are applied before anything that belongs to the policy, so the policy meets them where it will meet them on the
robot. The order, for each sample: delay, then mounting and offset, then bias, then noise.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from contract.robot import Robot
from sim.disturbances import check_delay
from sim.engines.engine import Parameter, Trace
from sim.rotations import quat_from_small_angle, quat_multiply, quat_rotate_inverse

MAX_SENSOR_DELAY = 0.04  # s, length of the sample buffer


class SensorModel:
    """IMU, where the robot has one, and joint encoders of `num_envs` robots, on the device of `generator`.

    Samples of all sensors of one robot share one delay: on the robots we know they travel in one bus frame.
    """

    def __init__(
        self, robot: Robot, num_envs: int, physics_dt: float, decimation: int, generator: torch.Generator
    ) -> None:
        joints, device = robot.num_joints, generator.device
        self.parameters = {
            "encoder_offset": Parameter(joints, "rad", 0.0, "joint position read minus true"),
            "gyro_bias": Parameter(3, "rad/s", 0.0, "gyro read minus true, IMU frame"),
            "joint_pos_noise": Parameter(1, "rad", 0.0, "standard deviation of a joint position sample"),
            "joint_vel_noise": Parameter(1, "rad/s", 0.0, "standard deviation of a joint velocity sample"),
            "gyro_noise": Parameter(1, "rad/s", 0.0, "standard deviation of a gyro sample"),
            "imu_quat_noise": Parameter(1, "rad", 0.0, "standard deviation of the orientation, each axis"),
            "sensor_delay": Parameter(1, "s", 0.0, "age of a sample when the policy reads it"),
        }
        self.values = {
            name: torch.full((num_envs, p.size), float(p.nominal), device=device)  # type: ignore[arg-type]
            for name, p in self.parameters.items()
        }
        self._dt = physics_dt
        self._joints = joints
        self._decimation = decimation
        self._generator = generator
        mount = robot.base_from_imu
        self._has_imu = robot.imu is not None
        self._mount = torch.tensor(mount, device=device)
        self._mounted = mount != (1.0, 0.0, 0.0, 0.0)
        length = math.ceil(MAX_SENSOR_DELAY / physics_dt) + decimation
        self._buffer = torch.zeros(num_envs, length, 7 + 2 * joints, device=device)
        self._rows = torch.arange(num_envs, device=device)

    def check(self, draw: Mapping[str, Tensor]) -> None:
        """Refuse delays longer than the buffer: they would come out shorter without a word."""
        if "sensor_delay" in draw:
            check_delay("sensor_delay", draw["sensor_delay"], MAX_SENSOR_DELAY)

    def reset(self, ids: Tensor, trace: Trace) -> None:
        """Fill the buffers of `ids` with their present sample, as if the robot had stood there."""
        self._buffer[ids] = _pack(trace)[ids][:, -1:]

    def record(self, trace: Trace) -> None:
        """Append the samples of one control step."""
        self._buffer = torch.cat([self._buffer[:, self._decimation :], _pack(trace)], dim=1)

    def read(self) -> dict[str, Tensor]:
        """The newest samples that have arrived: joint_pos, joint_vel, and of an IMU imu_quat, gyro, each (N, ...)."""
        values, joints = self.values, self._joints
        steps = torch.round(values["sensor_delay"][:, 0] / self._dt).long()
        sample = self._buffer[self._rows, self._buffer.shape[1] - 1 - steps]
        noise = torch.randn(sample.shape[0], 6 + 2 * joints, generator=self._generator, device=sample.device)
        encoders = {
            "joint_pos": sample[:, 7 : 7 + joints]
            + values["encoder_offset"]
            + values["joint_pos_noise"] * noise[:, 6 : 6 + joints],
            "joint_vel": sample[:, 7 + joints :] + values["joint_vel_noise"] * noise[:, 6 + joints :],
        }
        if not self._has_imu:
            return encoders
        quat, gyro = sample[:, :4], sample[:, 4:7]
        if self._mounted:
            quat = quat_multiply(quat, self._mount.expand_as(quat))
            gyro = quat_rotate_inverse(self._mount.expand_as(quat), gyro)
        return {
            "imu_quat": quat_multiply(quat, quat_from_small_angle(values["imu_quat_noise"] * noise[:, :3])),
            "gyro": gyro + values["gyro_bias"] + values["gyro_noise"] * noise[:, 3:6],
            **encoders,
        }

    def state_dict(self) -> dict[str, Any]:
        """Buffers and parameters."""
        return {"buffer": self._buffer.clone(), "values": {k: v.clone() for k, v in self.values.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._buffer = state["buffer"].to(self._mount.device, copy=True)
        self.values = {k: v.to(self._mount.device, copy=True) for k, v in state["values"].items()}


def _pack(trace: Trace) -> Tensor:
    return torch.cat([trace.root_quat, trace.root_ang_vel, trace.joint_pos, trace.joint_vel], dim=2)
