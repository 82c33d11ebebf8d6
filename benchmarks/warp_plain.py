"""The yardstick on a GPU: MuJoCo Warp as its own examples step it, with nothing around it."""

import mujoco_warp
import torch
import warp as wp
from torch import Tensor

from sim.engines.mujoco_model import build_model
from sim.engines.mujoco_warp import device as warp_device
from sim.env import VecEnv


class Plain:
    """The model of an environment's engine, shared by all worlds; one recorded graph a control step."""

    def __init__(self, env: VecEnv) -> None:
        engine = env.engine
        model = build_model(env.robot, engine.physics_dt, terrain=env.task.terrain).model
        room = engine._simulation.capacity  # type: ignore[attr-defined]
        self._device = env.device
        with wp.ScopedDevice(warp_device.warp_name(env.device)):
            self._model = mujoco_warp.put_model(model)
            self._model.opt.warn_overflow = False  # it would print
            self._data = mujoco_warp.make_data(model, nworld=env.num_envs, nconmax=room.contacts, njmax=room.rows)
        self._qpos, self._qvel, self._ctrl = map(wp.to_torch, (self._data.qpos, self._data.qvel, self._data.ctrl))
        self._graph = warp_device.Recording(env.device, lambda: self._physics_steps(engine.decimation))

    def _physics_steps(self, count: int) -> None:
        for _ in range(count):
            mujoco_warp.step(self._model, self._data)

    def place(self, env: VecEnv) -> None:
        """Take the robots' states."""
        state = env.state
        self._qpos.copy_(torch.cat([state.root_pos, state.root_quat, state.joint_pos], dim=1))
        self._qvel.copy_(torch.cat([state.root_lin_vel, state.root_ang_vel, state.joint_vel], dim=1))

    def step(self, targets: Tensor) -> None:
        """One control step under joint targets (N, J) in rad."""
        self._ctrl.copy_(targets)
        self._graph.launch()

    def joint_pos(self) -> Tensor:
        """(N, J) rad."""
        return self._qpos[:, 7:]


def wait(device: torch.device) -> None:
    """Until the device has finished."""
    warp_device.synchronise(device)


def device_name(device: torch.device) -> str:
    """What a figure was measured on."""
    return str(wp.get_device(warp_device.warp_name(device)).name)
