"""The workbench: builds the engines that laws ask for, and brings robots into known states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.robot import Robot
from sim.conformance.errors import NotOffered
from sim.engines.engine import Engine
from sim.terrains import FLAT, Terrain

Values = Tensor | NDArray[np.float64] | Sequence[float]

GRAVITY = 9.81  # m/s^2


class MakeEngine(Protocol):
    """How a laws' user builds an engine, for example `functools.partial(sim.engines.make, "mujoco_cpu")`."""

    def __call__(
        self, robot: Robot, *, num_envs: int, physics_dt: float, decimation: int, terrain: Terrain
    ) -> Engine: ...


@dataclass(frozen=True)
class Setup:
    """What an engine is built with."""

    robot: Robot
    num_envs: int
    physics_dt: float = 0.001
    decimation: int = 5
    terrain: Terrain = FLAT


class Bench:
    """Builds engines and keeps the last one, for the next law that asks for the same.

    One alone: there are simulators of which a process can hold no second. Laws that follow each other in
    `sim.conformance.LAWS` share a setup where they can.

    Attributes:
        memory: what one law has recorded and others compare with.
    """

    def __init__(self, make: MakeEngine) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._setup: Setup | None = None
        self.memory: dict[str, dict[str, Tensor]] = {}

    @property
    def device(self) -> str:
        """That of the latest engine; empty before there is one."""
        return str(self._engine.device) if self._engine else ""

    def engine(self, setup: Setup, *parameters: str, contact_force: bool = False) -> Engine:
        """An engine with nominal parameters, its robots upright at rest in the default pose.

        Args:
            setup: what it is built with.
            parameters: names of those that the law sets.
            contact_force: whether the law reads contact forces.

        Raises:
            NotOffered: the engine declares that it has no such thing.
        """
        engine = self._engine if self._engine is not None and setup == self._setup else self.fresh(setup)
        has = engine.capabilities
        for name in parameters:
            if name not in has.parameters:
                raise NotOffered(f"no parameter {name}")
        if contact_force and not has.contact_force:
            raise NotOffered("contact forces are not measured")
        set_parameters(engine, {name: parameter.nominal for name, parameter in has.parameters.items()})
        place(engine)
        return engine

    def fresh(self, setup: Setup) -> Engine:
        """An engine that nobody has used, its robots upright at rest in the default pose.

        Raises:
            NotOffered: the engine declares that it does not build that terrain.
        """
        terrain = type(setup.terrain).__name__
        if terrain != "Flat" and terrain not in self._terrains(setup.robot):
            raise NotOffered(f"no terrain {terrain}")
        self.close()
        self._engine = self._make(
            setup.robot,
            num_envs=setup.num_envs,
            physics_dt=setup.physics_dt,
            decimation=setup.decimation,
            terrain=setup.terrain,
        )
        self._setup = setup
        place(self._engine)
        return self._engine

    def _terrains(self, robot: Robot) -> tuple[str, ...]:
        """Those that the engine builds, as the latest one says, or one on flat ground."""
        return (self._engine or self.fresh(Setup(robot, num_envs=1))).capabilities.terrains

    def close(self) -> None:
        """Release the engine."""
        if self._engine is not None:
            self._engine.close()
        self._engine = self._setup = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def rows(engine: Engine, ids: Sequence[int] | None = None) -> Tensor:
    """Indices of environments on the engine's device; of all if none are given."""
    return torch.arange(engine.num_envs, device=engine.device) if ids is None else torch.tensor(ids).to(engine.device)


def place(engine: Engine, ids: Sequence[int] | None = None, **fields: Values) -> None:
    """Reset environments to upright and at rest in the default pose, except for `fields` of `Engine.reset`.

    A field is one value for all, or one row an environment.
    """
    robot, chosen = engine.robot, rows(engine, ids)
    state: dict[str, Values] = {
        "root_pos": (0.0, 0.0, robot.standing_height),
        "root_quat": (1.0, 0.0, 0.0, 0.0),
        "root_lin_vel": (0.0, 0.0, 0.0),
        "root_ang_vel": (0.0, 0.0, 0.0),
        "joint_pos": torch.from_numpy(robot.default_joint_pos),
        "joint_vel": torch.zeros(robot.num_joints),
        **fields,
    }
    engine.reset(chosen, **{name: _batch(value, len(chosen), engine) for name, value in state.items()})


def hold(engine: Engine, target: Values | None = None) -> Tensor:
    """Joint targets for a control period: constant, (J,) or (N, J); the default pose if none are given."""
    robot = engine.robot
    value = torch.from_numpy(robot.default_joint_pos) if target is None else target
    return _batch(value, engine.num_envs, engine)[:, None].expand(-1, engine.decimation, -1).contiguous()


def advance(engine: Engine, steps: int, target: Values | None = None) -> None:
    """Some control steps under constant targets."""
    targets = hold(engine, target)
    for _ in range(steps):
        engine.step(targets)


def set_parameters(engine: Engine, values: Mapping[str, Values | float], ids: Sequence[int] | None = None) -> None:
    """Set parameters: a number, (size,) or one row an environment."""
    chosen = rows(engine, ids)
    engine.set_parameters(
        chosen,
        {
            name: torch.as_tensor(value, dtype=torch.float32)
            .expand(len(chosen), engine.capabilities.parameters[name].size)
            .to(engine.device)
            .contiguous()
            for name, value in values.items()
        },
    )


def read(value: Tensor) -> Tensor:
    """A copy on the processor, in double precision."""
    return value.detach().to("cpu", torch.float64, copy=True)


def _batch(value: Values, count: int, engine: Engine) -> Tensor:
    tensor = torch.as_tensor(value, dtype=torch.float32)
    return tensor.expand(count, tensor.shape[-1]).to(engine.device).contiguous()
