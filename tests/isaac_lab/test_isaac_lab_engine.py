"""What the laws of physics do not ask of engines on Isaac Lab: one simulation a process, and a policy that walks."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import contract.robots
from contract.errors import UsageError
from deploy_robot.onnx_policy import load_policy
from policies import bundles
from policies.check_rollout import roll_out
from sim import engines, tasks
from sim.engines.engine import Engine
from sim.env import VecEnv

COMMANDS = np.array([[0.0, 0.0, 0.0], [0.6, 0.0, 0.0], [-0.4, 0.0, 0.5], [0.0, 0.3, 0.0]], np.float32)


ENGINES = ("isaac_lab", "isaac_lab_physx")


def make(name: str, num_envs: int = 2, device: str = "cpu") -> Engine:
    robot = contract.robots.load("cartpole")
    return engines.make(name, robot, num_envs=num_envs, physics_dt=0.01, decimation=2, device=device)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = make(request.param)
    yield engine
    engine.close()


def test_a_second_simulation_is_refused_while_one_is_open_and_made_once_it_is_closed(engine: Engine) -> None:
    for name in ENGINES:
        with pytest.raises(UsageError, match="one simulation in a process"):
            make(name)
    engine.step(torch.zeros(2, 2, 2))
    assert engine.state.joint_pos.isfinite().all(), "the open one goes on"
    engine.close()
    again = make(engine.name, 3)
    again.step(torch.zeros(3, 2, 2))
    assert again.state.joint_pos.shape == (3, 2)
    again.close()


def test_it_is_really_isaac_lab(engine: Engine) -> None:
    from isaaclab.sim import SimulationContext
    from isaaclab_newton.physics import NewtonManager
    from isaaclab_ov.physics import OvPhysxManager

    assert SimulationContext.instance() is not None
    if engine.name == "isaac_lab":
        assert NewtonManager.get_model().world_count == engine.num_envs
        assert OvPhysxManager.get_physx_instance() is None
    else:
        assert OvPhysxManager.get_physx_instance() is not None


def test_physx_has_no_gpu() -> None:
    with pytest.raises(UsageError, match="isaac_lab_physx runs on the processor alone"):
        make("isaac_lab_physx", device="cuda:0")


def test_physx_writes_nothing_to_the_users_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    make("isaac_lab_physx").close()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ENGINES)
def test_the_shipped_policy_walks_in_it(name: str) -> None:
    policy = load_policy(bundles.path("go2-velocity-flat"), batch=len(COMMANDS))
    env = VecEnv(tasks.load("go2-velocity-flat"), len(COMMANDS), engine=name, device="cpu", auto_reset=False)
    try:
        rollout = roll_out(policy, env, COMMANDS, seconds=3.0)
    finally:
        env.close()
    assert not rollout.fell.any()
    settled = rollout.time > 1.0
    planar = rollout.base_lin_vel[settled][..., :2].mean(axis=0)
    spin = rollout.base_ang_vel[settled][..., 2].mean(axis=0)
    np.testing.assert_allclose(planar, COMMANDS[:, :2], atol=0.2)
    np.testing.assert_allclose(spin, COMMANDS[:, 2], atol=0.25)
