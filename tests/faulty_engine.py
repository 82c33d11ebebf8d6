"""MuJoCo with a known fault: an engine that a gap report must see through."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from contract.robot import Robot
from sim.engines.engine import Trace
from sim.engines.mujoco_cpu import MujocoCpuEngine

Maker = Callable[..., MujocoCpuEngine]

HIPS = {"FL_hip_joint": "FR_hip_joint", "FR_hip_joint": "FL_hip_joint"}


def with_parameters(**values: float) -> Maker:
    """Makes an engine whose robots are others: `friction=0.4`, `kp_factor=0.8`; all joints alike."""

    def make(robot: Robot, *, device: str, **settings: Any) -> MujocoCpuEngine:
        engine = MujocoCpuEngine(robot, **settings)
        sizes = {name: engine.capabilities.parameters[name].size for name in values}
        everyone = torch.arange(engine.num_envs)
        engine.set_parameters(everyone, {n: torch.full((len(everyone), sizes[n]), v) for n, v in values.items()})
        return engine

    return make


def with_borders(
    *,
    targets: Mapping[str, str] | None = None,
    joints: Mapping[str, str] | None = None,
    readings: Mapping[str, str] | None = None,
    reversed_joints: tuple[str, ...] = (),
    target_offset: tuple[float, ...] | None = None,
    higher_ground: float = 0.0,
    xyzw: bool = False,
    finer: int = 1,
    periods: int = 1,
) -> Maker:
    """Makes an engine that maps its inputs and outputs wrongly.

    Args:
        targets: joint -> whose target its motor follows.
        joints: joint -> whose it really is, in all that goes in and out.
        readings: joint -> whose position and velocity are reported as its.
        reversed_joints: joints that turn the other way, in all that goes in and out.
        target_offset: rad, added to targets.
        higher_ground: m.
        xyzw: the reported orientation has its real part last.
        finer: physics steps in place of one.
        periods: control periods that pass in one step.
    """

    class Bordered(MujocoCpuEngine):
        def __init__(self, robot: Robot, *, device: str, physics_dt: float, decimation: int, **settings: Any) -> None:
            self._robot_order = _order(robot, joints)
            self._target_order, self._reading_order = _order(robot, targets), _order(robot, readings)
            self._sign = torch.tensor([-1.0 if n in reversed_joints else 1.0 for n in robot.joint_names])
            self._offset = torch.tensor(target_offset or [0.0] * robot.num_joints)
            super().__init__(robot, physics_dt=physics_dt / finer, decimation=decimation * finer, **settings)
            self._outside()

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
            self._inside()
            root_pos = root_pos - torch.tensor([0.0, 0.0, higher_ground])
            joint_pos, joint_vel = self._into(joint_pos), self._into(joint_vel)
            super().reset(ids, root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos, joint_vel)
            self._outside()

        def step(self, targets: Tensor) -> None:
            self._inside()
            wanted = self._into(targets + self._offset)[..., self._target_order]
            for _ in range(periods):
                super().step(wanted.repeat_interleave(finer, dim=1))
            self._outside()

        def _into(self, values: Tensor) -> Tensor:
            return (values * self._sign)[..., self._robot_order]

        def _out(self, values: Tensor) -> Tensor:
            return values[..., torch.argsort(torch.tensor(self._robot_order))] * self._sign

        def _read(self, values: Tensor) -> Tensor:
            return self._out(values)[..., self._reading_order]

        def _inside(self) -> None:
            """Show MuJoCo's own state to MuJoCo."""
            self.state, self.trace = self._true_state, self._true_trace

        def _outside(self) -> None:
            """Show the outside what this engine takes for its state."""
            state, trace = self.state, self.trace
            self._true_state, self._true_trace = state, trace
            up = torch.tensor([0.0, 0.0, higher_ground])
            self.state = replace(
                state,
                root_pos=state.root_pos + up,
                root_quat=state.root_quat.roll(-1, dims=-1) if xyzw else state.root_quat,
                joint_pos=self._read(state.joint_pos),
                joint_vel=self._read(state.joint_vel),
                joint_torque=self._out(state.joint_torque),
                foot_pos=state.foot_pos + up,
            )
            last = slice(finer - 1, None, finer)
            self.trace = Trace(
                trace.root_quat[:, last].roll(-1, dims=-1) if xyzw else trace.root_quat[:, last],
                trace.root_ang_vel[:, last],
                self._read(trace.joint_pos[:, last]),
                self._read(trace.joint_vel[:, last]),
            )

    return Bordered


def _order(robot: Robot, wrong: Mapping[str, str] | None) -> list[int]:
    return [robot.joint_names.index((wrong or {}).get(name, name)) for name in robot.joint_names]
