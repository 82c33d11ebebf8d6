"""Logs of a robot that is simulated with parameters that are known: what identification is tried on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contract.robot import Robot
from domain_rand.identification.log import MotionLog
from domain_rand.identification.unknowns import DELAYS
from domain_rand.identification.windows import Noise
from sim import engines

Array = NDArray[np.float64]

_CONTROL_PERIOD = 0.02  # s


@dataclass(frozen=True)
class Wiggle:
    """Targets: for each joint a sum of sines, of its own frequencies and phases.

    Attributes:
        seconds: for how long.
        amplitude: rad, at most, from the default pose.
        lowest, highest: Hz.
    """

    seconds: float = 10.0
    amplitude: float = 0.3
    lowest: float = 0.3
    highest: float = 3.0
    tones: int = 4

    def targets(self, robot: Robot, rng: np.random.Generator) -> Array:
        """(U, J) rad, one each control period; passive joints have none to follow."""
        time = _CONTROL_PERIOD * np.arange(round(self.seconds / _CONTROL_PERIOD))
        frequency = rng.uniform(self.lowest, self.highest, (self.tones, robot.num_joints))
        phase = rng.uniform(0.0, 2.0 * np.pi, frequency.shape)
        waves = np.sin(2.0 * np.pi * frequency * time[:, None, None] + phase).sum(axis=1)
        return np.asarray(robot.default_joint_pos + self.amplitude / self.tones * waves)


def simulated_log(
    robot: Robot,
    truth: Mapping[str, float | Array],
    wiggle: Wiggle,
    noise: Noise,
    seed: int,
    physics_dt: float = 0.005,
    engine: str = "mujoco_cpu",
) -> MotionLog:
    """The log of a robot on a fixed base, a sample each physics step.

    Args:
        robot: with a fixed base.
        truth: its parameters and delays.
        wiggle: how it is moved.
        noise: of each sample.
        seed: of motion and noise.
        physics_dt: s. engine: as `Setting` has them.
    """
    rng = np.random.default_rng(seed)
    target = wiggle.targets(robot, rng)
    target_time = 1.0 + _CONTROL_PERIOD * np.arange(len(target), dtype=np.float64)
    decimation = round(_CONTROL_PERIOD / physics_dt)
    built = engines.make(engine, robot, num_envs=1, physics_dt=physics_dt, decimation=decimation, threads=1)
    late = float(sum(np.max(truth[name]) for name in DELAYS if name in truth))
    try:
        one = torch.zeros(1, dtype=torch.long)
        known = built.capabilities.parameters
        given = {
            name: torch.as_tensor(np.broadcast_to(value, (1, known[name].size)).copy()).float()
            for name, value in truth.items()
            if name not in DELAYS
        }
        built.set_parameters(one, given)
        pose = torch.as_tensor(robot.default_joint_pos).float()[None]
        still = torch.zeros(1, 3)
        upright = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        built.reset(one, still, upright, still, still, pose, torch.zeros_like(pose))
        plain = MotionLog("simulated", target_time, target, target, target_time, target)
        pos, vel = [], []
        for now in target_time:
            steps = now - late + physics_dt * np.arange(decimation)
            built.step(torch.from_numpy(plain.targets_at(steps, physics_dt)).float()[None])
            pos.append(built.trace.joint_pos[0].double().numpy())
            vel.append(built.trace.joint_vel[0].double().numpy())
    finally:
        built.close()
    joint_pos, joint_vel = np.concatenate(pos), np.concatenate(vel)
    time = 1.0 + physics_dt * np.arange(1, len(joint_pos) + 1, dtype=np.float64)
    return MotionLog(
        "simulated",
        time,
        joint_pos + noise.joint_pos * rng.standard_normal(joint_pos.shape),
        joint_vel + noise.joint_vel * rng.standard_normal(joint_vel.shape),
        target_time,
        target,
    )
