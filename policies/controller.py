"""The Controller: raw named sensor signals in, joint targets out, everything between inside one module.

Observation terms, history, normaliser, network, action clip, scale and offset live here and nowhere else. Training
steps this module batched; export traces this same module; the robot runs the traced graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contract.robot import Robot
from contract.signals import Signal
from policies.gait import GaitConfig
from policies.networks import mlp
from policies.normalizer import EmpiricalNormalizer
from sim.rotations import projected_gravity, quat_multiply, quat_rotate
from sim.symmetry import MirrorKind


@dataclass(frozen=True)
class ControllerConfig:
    """Shape of a joint-position controller.

    Attributes:
        hidden: widths of the network's hidden layers.
        activation: elu, relu, silu or tanh.
        history: how many observations the network sees, the newest included.
        action_scale: rad of joint target for an action of one; m of a slide.
        action_clip: actions are clipped to +- this before they are scaled.
        gait: a clock that the network sees, and the motion it modulates; None for neither.
        control_period: s between steps, by which the clock advances.
    """

    hidden: tuple[int, ...] = (128, 128, 128)
    activation: str = "elu"
    history: int = 1
    action_scale: float = 0.25
    action_clip: float = 6.0
    gait: GaitConfig | None = None
    control_period: float = 0.02


class Controller(nn.Module):
    """Joint-position controller of a robot with joint encoders, a command, and mostly an IMU.

    One observation is gyro (base frame) and gravity direction (base frame) of a robot with an IMU, then command, joint
    positions about the default pose, joint velocities, last action; with a gait, the sine and cosine of its clock
    follow the observations. An action has one number for each joint that has a motor, A in all; the targets of passive
    joints are their default positions.

    Memory, all zero at the start: `last_action` (A,). With a gait `phase` (1,), in periods, and `moving` (1,), whether
    the command asks for motion. With a history `history` (H - 1, D), oldest first, and `started` (1,), which is 0 only
    before the first step: that step fills the history with its own observation.

    Args:
        robot: joint order, default pose, limits and IMU mount.
        signals: what is read; must name imu_quat and gyro (with an IMU), joint_pos, joint_vel, and the command last.
        command_lower, command_upper: the command is clipped to the range that training covered.
        config: shape.
    """

    default_joint_pos: Tensor
    joint_lower: Tensor
    joint_upper: Tensor
    command_lower: Tensor
    command_upper: Tensor
    base_from_imu: Tensor
    gait_amplitude: Tensor
    gait_phase: Tensor
    joint_of_action: Tensor

    def __init__(
        self,
        robot: Robot,
        signals: tuple[Signal, ...],
        command_lower: tuple[float, ...],
        command_upper: tuple[float, ...],
        config: ControllerConfig,
    ) -> None:
        super().__init__()
        joints = robot.num_joints
        self.config = config
        self.inputs = signals
        self.command_name = signals[-1].name
        self.output = Signal(
            "joint_target",
            (joints,),
            "rad",
            "joint",
            elements=robot.joint_names,
            description="position targets",
        )
        self.action_dim = len(robot.actuated)
        self._has_imu = robot.imu is not None
        self.term_dim = (6 if self._has_imu else 0) + len(command_lower) + 2 * joints + self.action_dim
        self.feature_dim = config.history * self.term_dim + (2 if config.gait else 0)
        self.memory: tuple[Signal, ...] = (
            Signal(
                "last_action",
                (self.action_dim,),
                "1",
                "joint",
                elements=tuple(robot.joint_names[i] for i in robot.actuated),
            ),
        )
        if config.gait:
            self.memory += (
                Signal("phase", (1,), "1", "", description="gait clock, in periods"),
                Signal("moving", (1,), "1", "", description="1 where the command asks for motion, else 0"),
            )
        if config.history > 1:
            self.memory += (
                Signal("history", (config.history - 1, self.term_dim), "1", "", description="oldest first"),
                Signal("started", (1,), "1", "", description="0 before the first step, then 1"),
            )

        def constant(name: str, values: object) -> None:
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))

        constant("default_joint_pos", robot.default_joint_pos)
        constant("joint_lower", _rounded(robot.joint_lower, np.inf))
        constant("joint_upper", _rounded(robot.joint_upper, -np.inf))
        constant("command_lower", command_lower)
        constant("command_upper", command_upper)
        constant("base_from_imu", robot.base_from_imu)
        self._phase_step = config.control_period / config.gait.period if config.gait else 0.0
        if config.gait:
            constant("gait_amplitude", config.gait.amplitude)
            constant("gait_phase", config.gait.phase)
        self._mounted = robot.base_from_imu != (1.0, 0.0, 0.0, 0.0)
        self._passive = self.action_dim < joints
        if self._passive:
            constant("joint_of_action", np.eye(joints)[list(robot.actuated)])
        self.normalizer = EmpiricalNormalizer(self.feature_dim)
        self.network = mlp(self.feature_dim, config.hidden, self.action_dim, activation=config.activation)

    @property
    def feature_parts(self) -> list[tuple[MirrorKind, int]]:
        """What the features are made of, in order, to mirror them."""
        joints = self.output.shape[0]
        imu = [(MirrorKind.AXIAL, 3), (MirrorKind.VECTOR, 3)] if self._has_imu else []
        term = [
            *imu,
            (MirrorKind.COMMAND, len(self.command_lower)),
            (MirrorKind.JOINT, joints),
            (MirrorKind.JOINT, joints),
            (MirrorKind.JOINT, joints),
        ]
        clock = [(MirrorKind.PHASE, 2)] if self.config.gait else []
        return term * self.config.history + clock

    def initial_memory(self, n: int) -> dict[str, Tensor]:
        """Memory of `n` controllers that have not stepped yet: all zero."""
        device = self.default_joint_pos.device
        return {signal.name: torch.zeros(n, *signal.shape, device=device) for signal in self.memory}

    def observe(self, signals: dict[str, Tensor], memory: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Features (N, feature_dim) before normalisation, and the memory with this observation in it."""
        imu: list[Tensor] = []
        if self._has_imu:
            gyro, quat = signals["gyro"], signals["imu_quat"]
            if self._mounted:
                mount = self.base_from_imu.expand_as(quat)
                gyro = quat_rotate(mount, gyro)
                quat = quat_multiply(quat, mount * mount.new_tensor([1.0, -1.0, -1.0, -1.0]))
            imu = [gyro, projected_gravity(quat)]
        command = torch.maximum(torch.minimum(signals[self.command_name], self.command_upper), self.command_lower)
        term = torch.cat(
            [
                *imu,
                command,
                signals["joint_pos"] - self.default_joint_pos,
                signals["joint_vel"],
                memory["last_action"],
            ],
            dim=1,
        )
        features, after = term, dict(memory)
        if self.config.history > 1:
            started = memory["started"][:, :, None]
            older = torch.where(started > 0.5, memory["history"], term[:, None])
            terms = torch.cat([older, term[:, None]], dim=1)
            features = terms.flatten(1)
            after |= {"history": terms[:, 1:], "started": torch.ones_like(memory["started"])}
        if self.config.gait:
            angle = 2.0 * math.pi * memory["phase"]
            features = torch.cat([features, torch.sin(angle), torch.cos(angle)], dim=1)
            # Kept within one period: a clock that grew all day would lose its precision.
            after["moving"] = (command.norm(dim=1, keepdim=True) > self.config.gait.moving).to(term.dtype)
            after["phase"] = torch.remainder(memory["phase"] + self._phase_step, 1.0)
        return features, after

    def policy_mean(self, features: Tensor) -> Tensor:
        """Mean action (N, A), dimensionless."""
        mean: Tensor = self.network(self.normalizer(features))
        return mean

    def act(self, action: Tensor, memory: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Joint targets (N, J) in rad within the joint limits, and the memory with this action in it."""
        action = action.clamp(-self.config.action_clip, self.config.action_clip)
        offset = action @ self.joint_of_action if self._passive else action
        target = self.default_joint_pos + self.config.action_scale * offset
        if self.config.gait:
            target = target + self._gait_offset(memory)
        target = torch.maximum(torch.minimum(target, self.joint_upper), self.joint_lower)
        return target, {**memory, "last_action": action}

    def _gait_offset(self, memory: dict[str, Tensor]) -> Tensor:
        """Joint offsets (N, J) in rad, for the clock at the end of the coming period."""
        phase = torch.remainder(memory["phase"] + self.gait_phase, 1.0)
        swing = torch.where(phase < 0.5, torch.sin(2.0 * math.pi * phase).square(), 0.0)
        return memory["moving"] * self.gait_amplitude * swing

    def forward(self, signals: dict[str, Tensor], memory: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """One deterministic step: what is exported and what runs on the robot."""
        features, memory = self.observe(signals, memory)
        return self.act(self.policy_mean(features), memory)


def _rounded(limits: NDArray[np.float64], inwards: float) -> NDArray[np.float32]:
    """Limits in float32 that are never looser than in float64, rounded towards `inwards` where they differ."""
    nearest = limits.astype(np.float32)
    looser = (nearest < limits) if inwards > 0.0 else (nearest > limits)
    return np.where(looser, np.nextafter(nearest, np.float32(inwards)), nearest)
