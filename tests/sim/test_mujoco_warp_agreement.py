"""MuJoCo Warp on the CPU against MuJoCo: the same model, states and targets, step for step.

Both compute the same equations, one in float32 with a solver that stops at 1e-6, the other in float64 and at 1e-8. A
struck joint accelerates by 10^4 rad/s^2; rounded to float32 (6e-8) in a sum of many such terms, and times a physics
step of 5 ms, that leaves some 10^-5 rad/s. The tolerances are ten to a hundred times that, for a step or for a hundred.
Differences grow without bound when a foot just slips or just sticks: robots that stumble are therefore compared from
the same state anew in every physics step, and those that shuffle over 100 control steps on end.
"""

import math

import pytest

pytest.importorskip("mujoco_warp")

import torch
from go2_states import DEFAULT, JOINTS, ROBOT, hold
from torch import Tensor

import contract.robots
from sim.engines.engine import Engine
from sim.engines.mujoco_cpu import MujocoCpuEngine
from sim.engines.mujoco_warp.engine import MujocoWarpEngine
from sim.terrains import FLAT, Boxes, Rough, Slope, Stairs, spawn_height

pytestmark = [pytest.mark.xdist_group("warp"), pytest.mark.filterwarnings("error")]

ENVS = 6
EVERYONE = torch.arange(ENVS)
TOLERANCE = {
    "root_pos": 1e-5,  # m
    "root_quat": 2e-5,
    "root_lin_vel": 1e-4,  # m/s
    "root_ang_vel": 1e-3,  # rad/s
    "joint_pos": 5e-5,  # rad
    "joint_vel": 1e-3,  # rad/s
    "joint_torque": 1e-3,  # N m
    "contact_force": 0.5,  # N, of impacts of up to 1000
    "foot_pos": 1e-5,  # m
    "foot_vel": 1e-3,  # m/s
}


def _pair(robot=ROBOT, **settings):
    """The reference, and the engine under test."""
    reference = MujocoCpuEngine(robot, num_envs=ENVS, threads=0, **settings)
    return reference, MujocoWarpEngine(robot, num_envs=ENVS, device="cpu", **settings)


def _randomise(engines: tuple[Engine, ...], generator: torch.Generator) -> None:
    """Parameters between 0.6 and 1.4 of nominal; up to 2 kg of payload, and centres of mass shifted by up to 3 cm."""
    values = {}
    for name, parameter in engines[0].capabilities.parameters.items():
        uniform = torch.rand(ENVS, parameter.size, generator=generator)
        nominal = torch.as_tensor(parameter.nominal)
        values[name] = (0.6 + 0.8 * uniform) * nominal
        if name == "payload_mass":
            values[name] = 2.0 * uniform
        if name == "base_com":
            values[name] = 0.06 * (uniform - 0.5)
    for engine in engines:
        engine.set_parameters(EVERYONE, values)


def _scatter(engines: tuple[Engine, ...], terrain, generator: torch.Generator) -> None:
    """Robots that stand, or fall from 5 cm, around the origin, each facing its own way."""
    yaw = 2.0 * math.pi * torch.rand(ENVS, generator=generator)
    zero = torch.zeros(ENVS)
    drop = 0.05 * torch.rand(ENVS, generator=generator)
    across = 0.3 * (2.0 * torch.rand(ENVS, 2, generator=generator) - 1.0)
    height = ROBOT.standing_height + spawn_height(terrain) + drop
    for engine in engines:
        engine.reset(
            EVERYONE,
            torch.cat([across, height[:, None]], dim=1),
            torch.stack([torch.cos(0.5 * yaw), zero, zero, torch.sin(0.5 * yaw)], dim=1),
            torch.zeros(ENVS, 3),
            torch.zeros(ENVS, 3),
            DEFAULT.expand(ENVS, JOINTS),
            torch.zeros(ENVS, JOINTS),
        )


def _copy_state(source: Engine, *engines: Engine) -> None:
    """Put all engines into the state of one, rounded to float32."""
    names = ("root_pos", "root_quat", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")
    state = [getattr(source.state, name).clone() for name in names]
    for engine in engines:
        engine.reset(EVERYONE, *state)


def _assert_close(engine: Engine, reference: Engine, rows: Tensor = EVERYONE) -> None:
    for name, limit in TOLERANCE.items():
        difference = (getattr(engine.state, name) - getattr(reference.state, name))[rows].abs()
        assert (difference < limit).all(), f"{name}: {difference.max():.2g}"
    for name, trace in vars(engine.trace).items():
        difference = (trace - getattr(reference.trace, name))[rows].abs()
        assert (difference < TOLERANCE[name]).all(), f"trace of {name}: {difference.max():.2g}"


@pytest.mark.parametrize("randomised", [False, True], ids=["nominal", "randomised"])
def test_shuffling_robots_stay_together_for_a_hundred_steps(randomised):
    """Targets jitter from one physics step to the next, so that the feet never rest."""
    generator = torch.Generator().manual_seed(3)
    reference, engine = engines = _pair()
    if randomised:
        _randomise(engines, generator)
    _scatter(engines, FLAT, generator)
    speed = 0.0
    for _ in range(100):
        targets = DEFAULT + 0.3 * torch.randn(ENVS, 4, JOINTS, generator=generator)
        for each in engines:
            each.step(targets)
        _assert_close(engine, reference)
        speed = max(speed, reference.state.joint_vel.abs().max().item())
    assert speed > 5.0  # rad/s: they were not at rest


@pytest.mark.parametrize("terrain", [FLAT, Slope(0.2), Stairs(rise=0.1, clear=0.4)], ids=lambda t: type(t).__name__)
def test_stumbling_robots_make_the_same_step_from_the_same_state(terrain):
    """Targets far from the default pose throw robots over, onto thighs, heads and bellies.

    A belly, which is a box, on a stair, which is one, has other contact points: that is among the engine's limits.
    """
    generator = torch.Generator().manual_seed(0)
    reference, engine = engines = _pair(terrain=terrain, decimation=1)
    _randomise(engines, generator)
    _scatter(engines, terrain, generator)
    belly = engine.contact_geoms.index("base_box")
    most_tilted, touched = 0.0, torch.zeros(len(engine.contact_geoms), dtype=torch.bool)
    for step in range(300):
        if step % 4 == 0:
            targets = DEFAULT + 0.7 * (2.0 * torch.rand(ENVS, 1, JOINTS, generator=generator) - 1.0)
        _copy_state(reference, *engines)
        for each in engines:
            each.step(targets)
        lying = torch.stack([each.state.contact_force[:, belly] > 0.0 for each in engines]).any(dim=0)
        alike = ~lying if isinstance(terrain, Stairs) else torch.ones(ENVS, dtype=torch.bool)
        _assert_close(engine, reference, alike.nonzero()[:, 0])
        touched |= (reference.state.contact_force[alike] > 1.0).any(dim=0)
        most_tilted = max(most_tilted, reference.state.root_quat[:, 1:3].norm(dim=1).max().item())
    assert most_tilted > math.sin(0.5 * math.radians(60.0))
    assert touched.sum() >= len(ROBOT.feet) + 3


@pytest.mark.parametrize(
    "terrain", [Rough(0.06, seed=2), Boxes(0.1, seed=1, count=30, clear=0.6, size=4.0)], ids=lambda t: type(t).__name__
)
def test_robots_come_to_rest_at_the_same_height_on_uneven_ground(terrain):
    """Which contact points of two surfaces are kept differs there, and with it an impact, but not where robots rest."""
    generator = torch.Generator().manual_seed(1)
    places = 3.0 * torch.rand(ENVS, 2, generator=generator) - 1.5
    ground = torch.from_numpy(terrain.ground().height(*places.numpy().T)).float()
    root_pos = torch.cat([places, ground[:, None] + ROBOT.standing_height + 0.03], dim=1)
    reference, engine = engines = _pair(terrain=terrain)
    for each in engines:
        each.reset(
            EVERYONE,
            root_pos,
            torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(ENVS, 4),
            torch.zeros(ENVS, 3),
            torch.zeros(ENVS, 3),
            DEFAULT.expand(ENVS, JOINTS),
            torch.zeros(ENVS, JOINTS),
        )
        for _ in range(100):
            each.step(hold(each))
    assert (engine.state.root_pos[:, 2] - reference.state.root_pos[:, 2]).abs().max() < 2e-3


def test_cart_and_pole_stay_together_for_a_hundred_steps():
    """A fixed base, a slide, and a joint without a motor."""
    robot = contract.robots.load("cartpole")
    generator = torch.Generator().manual_seed(4)
    reference, engine = engines = _pair(robot)
    _randomise(engines, generator)
    start = torch.randn(ENVS, 2, generator=generator) * torch.tensor([0.5, 0.3])
    nowhere = torch.zeros(ENVS, 3)
    for each in engines:
        each.reset(EVERYONE, nowhere, torch.zeros(ENVS, 4), nowhere, nowhere, start, torch.zeros(ENVS, 2))
    for _ in range(100):
        targets = 2.0 * torch.randn(ENVS, 1, 2, generator=generator).expand(-1, 4, -1)
        for each in engines:
            each.step(targets)
        _assert_close(engine, reference)
    assert (reference.state.joint_pos[:, 1].abs() > 2.0).any()  # a pole has fallen
