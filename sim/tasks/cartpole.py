"""A cart balances a pole and goes where it is told: the task that shows in seconds whether training works."""

import math

import torch
from torch import Tensor

import contract.robots
from contract.signals import Signal
from sim.env import VecEnv
from sim.symmetry import MirrorKind
from sim.tasks import metrics as m
from sim.tasks.errors import joint_error
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

ROBOT = contract.robots.load("cartpole")
CART, POLE = (ROBOT.joint_names.index(name) for name in ("slider", "hinge"))

FALLEN = 0.6  # rad
END_OF_TRACK = 2.2  # m


def upright(env: VecEnv, sigma: float = 0.05) -> Tensor:
    """exp(-angle^2 / sigma) of the pole; 1 when upright. `sigma` in rad^2."""
    return torch.exp(-env.state.joint_pos[:, POLE].square() / sigma)


def at_command(env: VecEnv, sigma: float = 0.3) -> Tensor:
    """1 / (1 + (position - command)^2 / sigma^2) of the cart: 1 when there, and uphill from anywhere. `sigma` in m."""
    return 1.0 / (1.0 + ((env.state.joint_pos[:, CART] - env.command[:, 0]) / sigma).square())


def speed(env: VecEnv) -> Tensor:
    """Squared speeds of cart and pole added, (m/s)^2 + (rad/s)^2."""
    return env.state.joint_vel.square().sum(dim=1)


def fallen(env: VecEnv) -> Tensor:
    """The pole is more than FALLEN from upright."""
    return env.state.joint_pos[:, POLE].abs() > FALLEN


def off_the_track(env: VecEnv) -> Tensor:
    """The cart is at the end of the track."""
    return env.state.joint_pos[:, CART].abs() > END_OF_TRACK


TASK = Task(
    name="cartpole",
    title="Cart balances a pole at a commanded place",
    robot="cartpole",
    control_period=0.02,
    decimation=2,
    episode_seconds=8.0,
    signals=(
        Signal("joint_pos", (2,), "m, rad", "joint", elements=ROBOT.joint_names, description="cart and pole positions"),
        Signal("joint_vel", (2,), "m/s, rad/s", "joint", elements=ROBOT.joint_names, description="their velocities"),
        Signal("command", (1,), "m", "world", elements=("cart",), description="wanted place of the cart"),
    ),
    command=CommandSpec(
        name="command", elements=("cart",), lower=(-0.5,), upper=(0.5,), hold=(4.0, 8.0), zero_fraction=0.1
    ),
    initial=InitialState(joint_pos=0.2, joint_vel=0.2),
    rewards=(
        RewardTerm("upright", upright, 1.0),
        RewardTerm("at_command", at_command, 1.0),
        RewardTerm("speed", speed, -0.02),
    ),
    terminations=(Termination("fallen", fallen), Termination("off_the_track", off_the_track)),
    critic=(
        CriticTerm("joint_pos", lambda env: env.state.joint_pos, MirrorKind.SCALAR),
        CriticTerm("joint_vel", lambda env: env.state.joint_vel, MirrorKind.SCALAR),
        CriticTerm("joint_target", lambda env: env.joint_target[:, [CART]], MirrorKind.SCALAR),
        CriticTerm("command", lambda env: env.command, MirrorKind.COMMAND),
    ),
    error=TrackingError("cart error", "m", joint_error(CART, 0)),
    check=CheckSpec(
        commands=tuple(CheckCommand(f"cart {x:+.1f}", (x,)) for x in (-0.4, 0.0, 0.4)),
        seconds=6.0,
        settle=3.0,
        episodes_per_command=16,
        metrics=(
            m.Metric("cart position", "x", "m", m.joint_position(CART), measures="cart"),
            m.Metric("cart error", "e_x", "m", m.joint_error(CART, 0), limit=0.3),
            m.Metric("pole angle", "|a|", "rad", m.joint_error(POLE), limit=math.radians(3.0)),
        ),
        max_fall_rate=0.02,
        max_torque_fraction=1.2,  # catching the pole takes all that a strong motor has
    ),
)
