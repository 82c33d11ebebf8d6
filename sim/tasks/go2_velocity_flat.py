"""Unitree Go2 follows a velocity command on flat ground: forward, sideways, turning, and standing still."""

import itertools
import math

import torch
from torch import Tensor

import contract.robots
from contract.signals import Signal
from sim.env import VecEnv
from sim.symmetry import MirrorKind
from sim.tasks import rewards as r
from sim.tasks.errors import velocity_error
from sim.tasks.metrics import VELOCITY_TRACKING, with_limits
from sim.tasks.task import (
    CheckCommand,
    CheckSpec,
    CommandSpec,
    CriticTerm,
    InitialState,
    RewardTerm,
    Task,
    Termination,
    TrackingError,
)
from sim.tasks.terminations import tilted, touches_ground

ROBOT = contract.robots.load("unitree_go2")
_JOINTS = (ROBOT.num_joints,)

SIGNALS = (
    Signal(
        "imu_quat",
        (4,),
        "1",
        "world",
        elements=("w", "x", "y", "z"),
        description="orientation, world_from_imu",
    ),
    Signal("gyro", (3,), "rad/s", "imu", elements=("x", "y", "z"), description="angular velocity"),
    Signal("joint_pos", _JOINTS, "rad", "joint", elements=ROBOT.joint_names, description="joint positions"),
    Signal("joint_vel", _JOINTS, "rad/s", "joint", elements=ROBOT.joint_names, description="joint velocities"),
    Signal(
        "command",
        (3,),
        "m/s, m/s, rad/s",
        "base",
        elements=("vx", "vy", "yaw_rate"),
        description="wanted velocity",
    ),
)

COMMAND = CommandSpec(
    name="command",
    elements=("vx", "vy", "yaw_rate"),
    lower=(-1.0, -0.5, -1.0),
    upper=(1.0, 0.5, 1.0),
    hold=(3.0, 8.0),
    zero_fraction=0.1,
    mirror_sign=(1.0, -1.0, -1.0),
)

GAIT_PERIOD = 0.5  # s, of a diagonal trot
TROT = (0.0, 0.5, 0.5, 0.0)  # phase of each leg: FL and RR swing together, then FR and RL
SWING_HEIGHT = 0.08  # m

REWARDS = (
    RewardTerm("track_lin_vel", r.track_lin_vel, 1.5),
    RewardTerm("track_yaw_rate", r.track_yaw_rate, 0.75),
    RewardTerm("vertical_velocity", r.vertical_velocity, -1.0, ramped=True),
    RewardTerm("roll_pitch_rate", r.roll_pitch_rate, -0.05, ramped=True),
    RewardTerm("tilt", r.tilt, -2.0, ramped=True),
    RewardTerm("torque", r.torque, -1e-4, ramped=True),
    RewardTerm("joint_acceleration", r.joint_acceleration, -2.5e-7, ramped=True),
    RewardTerm("target_change", r.target_change, -0.1, ramped=True),
    RewardTerm("joint_deviation", r.joint_deviation, -0.05, ramped=True),
    RewardTerm("standing_deviation", r.standing_deviation, -0.2, ramped=True),
    RewardTerm("trot", r.foot_swing(GAIT_PERIOD, TROT, SWING_HEIGHT), 0.75),
    RewardTerm("foot_slip", r.foot_slip, -0.1, ramped=True),
    RewardTerm("unwanted_contact", r.unwanted_contact, -0.5, ramped=True),
    RewardTerm("joint_limit", r.joint_limit(), -5.0, ramped=True),
)


def _gait_clock(env: VecEnv) -> Tensor:
    angle = (2.0 * math.pi / GAIT_PERIOD) * env.clock
    return torch.stack([torch.sin(angle), torch.cos(angle)], dim=1)


K = MirrorKind
# True state without noise or delay, and the parameters of the robot that is being judged.
CRITIC = (
    CriticTerm("base_lin_vel", lambda env: env.base_lin_vel, K.VECTOR),
    CriticTerm("base_ang_vel", lambda env: env.state.root_ang_vel, K.AXIAL),
    CriticTerm("gravity", lambda env: env.gravity, K.VECTOR),
    CriticTerm("base_height", lambda env: env.state.root_pos[:, 2:], K.SCALAR),
    CriticTerm("command", lambda env: env.command, K.COMMAND),
    CriticTerm("joint_pos", lambda env: env.state.joint_pos - env.default_joint_pos, K.JOINT),
    CriticTerm("joint_vel", lambda env: env.state.joint_vel, K.JOINT),
    CriticTerm("joint_target", lambda env: env.joint_target - env.default_joint_pos, K.JOINT),
    CriticTerm("foot_contact", lambda env: env.foot_contact.float(), K.FOOT),
    CriticTerm("air_time", lambda env: env.air_time, K.FOOT),
    CriticTerm("gait_clock", _gait_clock, K.PHASE),
    CriticTerm("friction", lambda env: env.parameter("friction"), K.SCALAR),
    CriticTerm("payload_mass", lambda env: env.parameter("payload_mass"), K.SCALAR),
    CriticTerm("base_com", lambda env: env.parameter("base_com"), K.VECTOR),
    CriticTerm("action_delay", lambda env: env.parameter("action_delay"), K.SCALAR),
    CriticTerm("sensor_delay", lambda env: env.parameter("sensor_delay"), K.SCALAR),
)


def _grid() -> tuple[CheckCommand, ...]:
    cells = [CheckCommand("stand", (0.0, 0.0, 0.0))]
    for vx, yaw in itertools.product((-0.8, -0.4, 0.4, 0.8), (-0.6, 0.0, 0.6)):
        cells.append(CheckCommand(f"vx {vx:+.1f} yaw {yaw:+.1f}", (vx, 0.0, yaw)))
    for vy in (-0.4, 0.4):
        cells.append(CheckCommand(f"vy {vy:+.1f}", (0.0, vy, 0.0)))
    for yaw in (-0.8, 0.8):
        cells.append(CheckCommand(f"turn {yaw:+.1f}", (0.0, 0.0, yaw)))
    return tuple(cells)


TASK = Task(
    name="go2-velocity-flat",
    title="Unitree Go2 tracks a velocity command on flat ground",
    robot="unitree_go2",
    control_period=0.02,
    decimation=4,
    episode_seconds=20.0,
    signals=SIGNALS,
    command=COMMAND,
    initial=InitialState(height=0.02, lin_vel=0.3, ang_vel=0.3, joint_pos=0.15, joint_vel=0.5),
    rewards=REWARDS,
    terminations=(
        Termination("tilted", tilted(1.0)),
        Termination("base_touches_ground", touches_ground("base_box")),
    ),
    critic=CRITIC,
    error=TrackingError("velocity error", "m/s", velocity_error),
    penalty_ramp=4000,
    penalty_start=0.2,
    check=CheckSpec(
        commands=_grid(),
        seconds=8.0,
        settle=1.5,
        episodes_per_command=12,
        metrics=with_limits(VELOCITY_TRACKING, tracking_error=0.20, yaw_rate_error=0.25),
        max_fall_rate=0.02,
    ),
)
