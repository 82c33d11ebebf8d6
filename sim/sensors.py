"""From the true state to what the robot's sensors report, by the errors of real ones, on the raw signals.

These are applied before anything that belongs to the policy, so the policy meets them where it will meet them on the
robot. The order, for each sample: delay, then mounting and offset, then bias, then noise, then resolution, and last
whether the sample arrives at all.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from contract.robot import Robot
from sim.checks import check_range
from sim.engines.engine import Parameter, Trace
from sim.losses import Losses
from sim.rotations import (
    quat_from_small_angle,
    quat_from_vector,
    quat_from_yaw,
    quat_multiply,
    quat_rotate_inverse,
)
from sim.stage import Stage

MAX_SENSOR_DELAY = 0.04  # s, length of the sample buffer

_RESOLUTION = ("joint_pos_resolution", "joint_vel_resolution", "gyro_resolution")
_WALK = ("gyro_walk", "imu_heading_walk")


class SensorModel(Stage):
    """IMU, where the robot has one, and joint encoders of `num_envs` robots, on the device of `generator`.

    Samples of all sensors of one robot share one delay: on the robots we know they travel in one bus frame.
    """

    def __init__(
        self, robot: Robot, num_envs: int, physics_dt: float, decimation: int, generator: torch.Generator
    ) -> None:
        joints, legs, device = robot.num_joints, robot.legs, generator.device
        parameters = {
            "encoder_offset": Parameter(joints, "rad", 0.0, "joint position read minus true", legs),
            "gyro_bias": Parameter(3, "rad/s", 0.0, "gyro read minus true, IMU frame"),
            "joint_pos_noise": Parameter(1, "rad", 0.0, "standard deviation of a joint position sample"),
            "joint_vel_noise": Parameter(1, "rad/s", 0.0, "standard deviation of a joint velocity sample"),
            "gyro_noise": Parameter(1, "rad/s", 0.0, "standard deviation of a gyro sample"),
            "imu_quat_noise": Parameter(1, "rad", 0.0, "standard deviation of the orientation, each axis"),
            "sensor_delay": Parameter(1, "s", 0.0, "age of a sample when the policy reads it"),
            "sensor_jitter": Parameter(1, "s", 0.0, "each sample's delay is up to this longer, uniformly"),
            "sensor_drop": Parameter(1, "1", 0.0, "probability that a sample is lost: the last reading stands"),
            "sensor_hold": Parameter(1, "s", 0.0, "how long a loss of samples lasts, one period at least"),
            "imu_mount_rotation": Parameter(3, "rad", 0.0, "turn of the IMU on its mount, rotation vector, IMU frame"),
            "gyro_walk": Parameter(1, "rad/s/s^0.5", 0.0, "random walk of the gyro's bias, deviation after 1 s"),
            "imu_heading_walk": Parameter(1, "rad/s^0.5", 0.0, "random walk of the heading, deviation after 1 s"),
            "joint_pos_resolution": Parameter(1, "rad", 0.0, "step of a joint position reading; 0 for none"),
            "joint_vel_resolution": Parameter(1, "rad/s", 0.0, "step of a joint velocity reading; 0 for none"),
            "gyro_resolution": Parameter(1, "rad/s", 0.0, "step of a gyro reading; 0 for none"),
        }
        super().__init__(parameters, num_envs, device)
        self._dt = physics_dt
        self._joints = joints
        self._decimation = decimation
        self._generator = generator
        mount = robot.base_from_imu
        self._has_imu = robot.imu is not None
        self._mount = torch.tensor(mount, device=device)
        self._mounted = mount != (1.0, 0.0, 0.0, 0.0)
        self._turn = torch.empty(0, 4, device=device)  # of each IMU on its mount, once it is set
        length = math.ceil(MAX_SENSOR_DELAY / physics_dt) + decimation
        self._buffer = torch.zeros(num_envs, length, 7 + 2 * joints, device=device)
        self._rows = torch.arange(num_envs, device=device)
        self._walk = torch.zeros(num_envs, 4, device=device)  # of the gyro's bias, three axes, and of the heading
        self._losses = Losses(num_envs, physics_dt * decimation, generator)
        self._unread = torch.ones(num_envs, dtype=torch.bool, device=device)  # nothing was read in this episode yet
        self._last: dict[str, Tensor] = {}

    def check(self, ids: Tensor, names: frozenset[str]) -> None:
        if names & {"sensor_delay", "sensor_jitter"}:
            delay, jitter = (self.values[name][ids] for name in ("sensor_delay", "sensor_jitter"))
            name = "sensor_delay and sensor_jitter together" if self.uses("sensor_jitter") else "sensor_delay"
            check_range(name, torch.minimum(delay, delay + jitter), 0.0, MAX_SENSOR_DELAY, "s")
            check_range(name, delay + jitter, 0.0, MAX_SENSOR_DELAY, "s")
        if "sensor_drop" in names:
            check_range("sensor_drop", self.values["sensor_drop"][ids], 0.0, 1.0)
        for name in names & {"sensor_hold", *_WALK, *_RESOLUTION}:
            check_range(name, self.values[name][ids], 0.0, torch.inf)
        if "imu_mount_rotation" in names:
            self._turn = quat_from_vector(self.values["imu_mount_rotation"])

    def reset(self, ids: Tensor, trace: Trace) -> None:
        """Fill the buffers of `ids` with their present sample, as if the robot had stood there."""
        self._buffer[ids] = _pack(trace)[ids][:, -1:]
        self._walk[ids] = 0.0
        self._losses.reset(ids)
        self._unread[ids] = True

    def record(self, trace: Trace, slack: Tensor | None = None) -> None:
        """Append the samples of one control step.

        Args:
            trace: of the engine.
            slack: (N, J) rad, how far the motors, whose positions the encoders read, are ahead of their joints.
        """
        samples = _pack(trace)
        if slack is not None:
            samples[:, :, 7 : 7 + self._joints] += slack[:, None]
        self._buffer = torch.cat([self._buffer[:, self._decimation :], samples], dim=1)

    def read(self) -> dict[str, Tensor]:
        """The newest samples that have arrived: joint_pos, joint_vel, and of an IMU imu_quat, gyro, each (N, ...)."""
        values, joints = self.values, self._joints
        sample = self._delayed()
        noise = torch.randn(sample.shape[0], 6 + 2 * joints, generator=self._generator, device=sample.device)
        readings = {
            "joint_pos": sample[:, 7 : 7 + joints]
            + values["encoder_offset"]
            + values["joint_pos_noise"] * noise[:, 6 : 6 + joints],
            "joint_vel": sample[:, 7 + joints :] + values["joint_vel_noise"] * noise[:, 6 + joints :],
        }
        if self._has_imu:
            quat, gyro = self._in_imu(sample[:, :4], sample[:, 4:7])
            readings = {
                "imu_quat": quat_multiply(quat, quat_from_small_angle(values["imu_quat_noise"] * noise[:, :3])),
                "gyro": gyro + values["gyro_bias"] + values["gyro_noise"] * noise[:, 3:6],
                **readings,
            }
        if self.uses(*_WALK):
            self._wander(readings)
        if self.uses(*_RESOLUTION):
            for name in readings.keys() & {"joint_pos", "joint_vel", "gyro"}:
                readings[name] = _rounded(readings[name], values[f"{name}_resolution"])
        return self._received(readings) if self.uses("sensor_drop") else readings

    def _delayed(self) -> Tensor:
        """(N, D) the sample that is as old as the delay."""
        late = self.values["sensor_delay"][:, 0]
        if self.uses("sensor_jitter"):
            uniform = torch.rand(len(late), generator=self._generator, device=late.device)
            late = late + self.values["sensor_jitter"][:, 0] * uniform
        steps = torch.round(late / self._dt).long()
        return self._buffer[self._rows, self._buffer.shape[1] - 1 - steps]

    def _in_imu(self, quat: Tensor, gyro: Tensor) -> tuple[Tensor, Tensor]:
        """Orientation and angular velocity of the IMU, from those of the base."""
        turns = []
        if self._mounted:
            turns.append(self._mount.expand_as(quat))
        if self.uses("imu_mount_rotation"):
            turns.append(self._turn)
        for turn in turns:
            quat, gyro = quat_multiply(quat, turn), quat_rotate_inverse(turn, gyro)
        return quat, gyro

    def _wander(self, readings: dict[str, Tensor]) -> None:
        """Let the slow errors of the IMU wander on by one period, and add them."""
        if not self._has_imu:
            return
        step = torch.randn(self._walk.shape, generator=self._generator, device=self._walk.device)
        step[:, :3] *= self.values["gyro_walk"]
        step[:, 3:] *= self.values["imu_heading_walk"]
        self._walk = self._walk + math.sqrt(self._decimation * self._dt) * step
        readings["gyro"] = readings["gyro"] + self._walk[:, :3]
        readings["imu_quat"] = quat_multiply(quat_from_yaw(self._walk[:, 3]), readings["imu_quat"])

    def _received(self, readings: dict[str, Tensor]) -> dict[str, Tensor]:
        """The last readings where these are lost. The first of an episode is not."""
        lost = self._losses.draw(self.values["sensor_drop"][:, 0], self.values["sensor_hold"][:, 0])
        lost &= ~self._unread
        self._unread = torch.zeros_like(lost)
        last = self._last or readings
        self._last = {name: torch.where(lost[:, None], last[name], value) for name, value in readings.items()}
        return dict(self._last)

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "buffer": self._buffer.clone(),
            "walk": self._walk.clone(),
            "unread": self._unread.clone(),
            "losses": self._losses.state_dict(),
            "last": {name: value.clone() for name, value in self._last.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        device = self._mount.device
        self._buffer, self._walk, self._unread = (
            state[name].to(device, copy=True) for name in ("buffer", "walk", "unread")
        )
        self._losses.load_state_dict(state["losses"])
        self._last = {name: value.to(device, copy=True) for name, value in state["last"].items()}
        self._turn = quat_from_vector(self.values["imu_mount_rotation"])


def _pack(trace: Trace) -> Tensor:
    return torch.cat([trace.root_quat, trace.root_ang_vel, trace.joint_pos, trace.joint_vel], dim=2)


def _rounded(value: Tensor, step: Tensor) -> Tensor:
    """To whole steps; where the step is 0, as it is."""
    whole = torch.where(step > 0.0, step, 1.0)
    return torch.where(step > 0.0, torch.round(value / whole) * whole, value)
