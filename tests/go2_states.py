"""States of the Go2 for tests of engines and of the environment."""

from collections.abc import Sequence

import torch
from torch import Tensor

import contract.robots
from sim.engines.engine import Engine
from sim.engines.mujoco_cpu import MujocoCpuEngine

ROBOT = contract.robots.load("unitree_go2")
JOINTS = ROBOT.num_joints
DEFAULT = torch.from_numpy(ROBOT.default_joint_pos).float()
GRAVITY = 9.81  # m/s^2
IN_THE_AIR = 10.0  # m


def make_engine(
    num_envs: int = 1, *, decimation: int = 4, physics_dt: float = 0.005, threads: int = 0
) -> MujocoCpuEngine:
    """An engine on the calling thread, its robots standing."""
    engine = MujocoCpuEngine(ROBOT, num_envs=num_envs, physics_dt=physics_dt, decimation=decimation, threads=threads)
    place(engine)
    return engine


def place(engine: Engine, ids: Sequence[int] | None = None, *, height: float | None = None, **fields: Tensor) -> None:
    """Put robots upright, at rest in the default pose, except for `fields` of `Engine.reset`, which broadcast."""
    rows = torch.arange(engine.num_envs) if ids is None else torch.tensor(ids)
    state = {
        "root_pos": torch.tensor([0.0, 0.0, ROBOT.standing_height if height is None else height]),
        "root_quat": torch.tensor([1.0, 0.0, 0.0, 0.0]),
        "root_lin_vel": torch.zeros(3),
        "root_ang_vel": torch.zeros(3),
        "joint_pos": DEFAULT,
        "joint_vel": torch.zeros(JOINTS),
        **fields,
    }
    engine.reset(rows, **{name: value.expand(len(rows), -1).clone() for name, value in state.items()})


def hold(engine: Engine, target: Tensor = DEFAULT) -> Tensor:
    """Joint targets (N, decimation, J) that stay at `target`, (J,) or (N, J), for a control period."""
    return target.expand(engine.num_envs, JOINTS)[:, None].expand(-1, engine.decimation, -1)


def set_parameter(engine: Engine, name: str, value: object, ids: Sequence[int] | None = None) -> None:
    """Set one parameter, a number or (size,) or (n, size), of some environments."""
    rows = torch.arange(engine.num_envs) if ids is None else torch.tensor(ids)
    size = engine.capabilities.parameters[name].size
    engine.set_parameters(rows, {name: torch.as_tensor(value, dtype=torch.float64).expand(len(rows), size)})


def snapshot(engine: Engine) -> dict[str, Tensor]:
    """Every field of the state and of the trace, copied."""
    fields = {**vars(engine.state), **{f"trace_{k}": v for k, v in vars(engine.trace).items()}}
    return {name: value.clone() for name, value in fields.items()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor], rows: Sequence[int] | None = None) -> None:
    """Two snapshots agree to the last bit, in all rows or in some."""
    assert a.keys() == b.keys()
    for name in a:
        left, right = (a[name], b[name]) if rows is None else (a[name][list(rows)], b[name][list(rows)])
        assert torch.equal(left, right), name
