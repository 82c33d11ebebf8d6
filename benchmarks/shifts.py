"""Faults of sensors and robots that training did not have, put upon robots that are already walking."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sim.env import VecEnv
from sim.rotations import quat_multiply, quat_rotate_inverse

Signals = dict[str, Tensor]


def _as_they_are(env: VecEnv, signals: Signals, before: Signals) -> Signals:
    return signals


def _nothing(env: VecEnv) -> None:
    pass


@dataclass(frozen=True)
class Shift:
    """One fault.

    Attributes:
        name: for the table, with its size.
        begin: what it changes once, in the environment.
        report: what the sensors report of now with it, `before` is what they reported when it began.
    """

    name: str
    begin: Callable[[VecEnv], None] = _nothing
    report: Callable[[VecEnv, Signals, Signals], Signals] = _as_they_are


def _reordered(order: list[int]) -> Callable[[VecEnv, Signals, Signals], Signals]:
    def report(env: VecEnv, signals: Signals, before: Signals) -> Signals:
        return signals | {name: signals[name][:, order] for name in ("joint_pos", "joint_vel")}

    return report


def _scaled(name: str, factor: float) -> Callable[[VecEnv, Signals, Signals], Signals]:
    def report(env: VecEnv, signals: Signals, before: Signals) -> Signals:
        return signals | {name: factor * signals[name]}

    return report


def _turned_imu(angle: float) -> Callable[[VecEnv, Signals, Signals], Signals]:
    def report(env: VecEnv, signals: Signals, before: Signals) -> Signals:
        turn = torch.tensor([math.cos(0.5 * angle), 0.0, math.sin(0.5 * angle), 0.0], device=env.device)
        turn = turn.expand_as(signals["imu_quat"])
        return signals | {
            "imu_quat": quat_multiply(signals["imu_quat"], turn),
            "gyro": quat_rotate_inverse(turn, signals["gyro"]),
        }

    return report


def _stuck(joint: int) -> Callable[[VecEnv, Signals, Signals], Signals]:
    def report(env: VecEnv, signals: Signals, before: Signals) -> Signals:
        frozen = {name: signals[name].clone() for name in ("joint_pos", "joint_vel")}
        for name, values in frozen.items():
            values[:, joint] = before[name][:, joint]
        return signals | frozen

    return report


def _offset(joint: int, angle: float) -> Callable[[VecEnv], None]:
    def begin(env: VecEnv) -> None:
        env.sensors.values["encoder_offset"][:, joint] += angle

    return begin


def _noisier(factor: float) -> Callable[[VecEnv], None]:
    def begin(env: VecEnv) -> None:
        for name, values in env.sensors.values.items():
            if name.endswith("_noise"):
                values *= factor

    return begin


def _heavier(mass: float) -> Callable[[VecEnv], None]:
    def begin(env: VecEnv) -> None:
        everyone = torch.arange(env.num_envs, device=env.device)
        env.engine.set_parameters(everyone, {"payload_mass": env.parameter("payload_mass") + mass})

    return begin


# Of a quadruped whose joints go leg by leg, hip, thigh, calf. Joint 1 is a front thigh.
QUADRUPED = (
    Shift("encoder of one joint off by 0.1 rad", begin=_offset(1, 0.1)),
    Shift("encoder of one joint off by 0.3 rad", begin=_offset(1, 0.3)),
    Shift(
        "joints in another order (by kind, not by leg)",
        report=_reordered([3 * leg + kind for kind in range(3) for leg in range(4)]),
    ),
    Shift("left and right legs exchanged", report=_reordered([3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8])),
    Shift("gyro with the wrong sign", report=_scaled("gyro", -1.0)),
    Shift("IMU turned by 10 degrees (pitch)", report=_turned_imu(math.radians(10.0))),
    Shift("joint velocities twice as large", report=_scaled("joint_vel", 2.0)),
    Shift("encoder of one joint stuck", report=_stuck(1)),
    Shift("sensor noise doubled", begin=_noisier(2.0)),
    Shift("payload 5 kg heavier", begin=_heavier(5.0)),
)
