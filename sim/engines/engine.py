"""The protocol that every physics engine keeps, and the state that it exposes.

An engine simulates `num_envs` copies of one robot. Arrays are torch tensors, float32, environment axis first, SI
units, quaternions (w, x, y, z), joints in the order of the robot description. A control step is `decimation` physics
steps; the caller gives one joint target a physics step, so that an action delay of a fraction of a control period is
expressed exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from contract.robot import Robot


@dataclass(frozen=True)
class Parameter:
    """A physical quantity of one environment that may be set.

    Attributes:
        size: numbers an environment needs: 1, 3, or one a joint or foot.
        unit: SI unit, `1` for factors.
        nominal: value of an undisturbed robot, one number or `size` of them.
        description: one phrase for humans.
        legs: name of the leg that each component is on, empty for one that is on none; () where none is.
    """

    size: int
    unit: str
    nominal: float | tuple[float, ...]
    description: str
    legs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; what is absent here is refused by name, never ignored.

    Attributes:
        parameters: what may be set per environment, by name.
        terrains: names of the classes in `sim.terrains` that it builds.
        contact_force: whether `EngineState.contact_force` is measured.
        trains: whether it is fast enough to train a walking policy, rather than to validate one.
        devices: kinds of device it runs on, `cpu` or `cuda`.
        limits: what it does less exactly than others, one sentence each, for users.
    """

    parameters: Mapping[str, Parameter]
    terrains: tuple[str, ...] = ("Boxes", "Flat", "Rough", "Slope", "Stairs")
    contact_force: bool = True
    trains: bool = True
    devices: tuple[str, ...] = ("cpu",)
    limits: tuple[str, ...] = ()


@dataclass
class EngineState:
    """State after the latest step or reset, one row an environment.

    Kinematic fields are exact at the end of the step. Forces, torques and foot positions are those that acted in
    the last physics step, hence one physics step older.
    """

    root_pos: Tensor  # (N, 3) m, world
    root_quat: Tensor  # (N, 4) world_from_base
    root_lin_vel: Tensor  # (N, 3) m/s, world
    root_ang_vel: Tensor  # (N, 3) rad/s, base frame
    joint_pos: Tensor  # (N, J) rad
    joint_vel: Tensor  # (N, J) rad/s
    joint_torque: Tensor  # (N, J) N m, motor torque after saturation
    contact_force: Tensor  # (N, G) N, normal force on each collision geom, in the order of `contact_geoms`
    foot_pos: Tensor  # (N, F, 3) m, world, centre of each foot
    foot_vel: Tensor  # (N, F, 3) m/s, world


@dataclass
class Trace:
    """What an on-board sensor could have sampled at each physics step of the last control step."""

    root_quat: Tensor  # (N, S, 4)
    root_ang_vel: Tensor  # (N, S, 3) rad/s, base frame
    joint_pos: Tensor  # (N, S, J)
    joint_vel: Tensor  # (N, S, J)


class Engine(Protocol):
    """A batched physics engine.

    A robot with a fixed base stays where its description puts it: `reset` does not use its root arguments then, and
    the root's state is constant.
    """

    name: str
    device: torch.device  # where all tensors are, those given included
    robot: Robot
    num_envs: int
    physics_dt: float  # s
    decimation: int
    capabilities: Capabilities
    contact_geoms: tuple[str, ...]  # names of the collision geoms, columns of `contact_force`
    foot_columns: tuple[int, ...]  # which of those are the feet, in the order of `robot.feet`
    state: EngineState
    trace: Trace
    diverged: Tensor  # (N,) bool: not finite after the last step; meaningless until reset

    def reset(
        self,
        ids: Tensor,
        root_pos: Tensor,
        root_quat: Tensor,
        root_lin_vel: Tensor,
        root_ang_vel: Tensor,
        joint_pos: Tensor,
        joint_vel: Tensor,
    ) -> None:
        """Place the environments `ids` (n,) in the given state; the others are left alone."""
        ...

    def step(self, targets: Tensor) -> None:
        """Advance one control period under joint targets (N, decimation, J) in rad.

        A state that stops being finite sets `diverged` for that environment alone, and is replaced by a finite
        one, so that nothing computed from the batch is poisoned before the caller resets it.
        """
        ...

    def set_parameters(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        """Set parameters named in `capabilities` to `values[name]` (n, size) for the environments `ids` (n,).

        Raises:
            UsageError: the engine has no such parameter.
        """
        ...

    def push(self, ids: Tensor, lin_vel: Tensor, ang_vel: Tensor) -> None:
        """Add a velocity to the base at once: linear (n, 3) m/s in the world, angular (n, 3) rad/s in the base.

        Raises:
            UsageError: the base is fixed.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit, as tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        ...

    def close(self) -> None:
        """Release threads, processes and device memory."""
        ...
