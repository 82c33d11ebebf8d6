"""The default engine: MuJoCo on the CPU, stepped by `mujoco.rollout`'s thread pool, one model an environment."""

import copy
import os
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.rollout import Rollout
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Capabilities, EngineState, Trace
from sim.engines.mujoco_model import LIMITS, MujocoModel, SolverOptions, build_model
from sim.engines.mujoco_parameters import ModelParameters, parameters_of
from sim.terrains import FLAT, Terrain

# A base that moves faster than this has diverged: no robot of ours falls or is thrown at such a speed.
MAX_SPEED = 100.0  # m/s and rad/s
MAX_JOINT_SPEED = 500.0  # rad/s

# Clock of an episode's start. Not 0, where MuJoCo sets the clock of a state that explodes: that must show.
_START = 1.0  # s

_WRENCH = {"base_force", "base_torque"}
_TARGETS, _FORCES = int(mujoco.mjtState.mjSTATE_CTRL), int(mujoco.mjtState.mjSTATE_XFRC_APPLIED)


class MujocoCpuEngine:
    """`num_envs` robots on the processor's threads. See `sim.engines.engine.Engine`.

    Args:
        robot: the robot description.
        num_envs: environments.
        physics_dt: physics step in s.
        decimation: physics steps a control period.
        threads: physics threads; all cores if None, the calling thread if 0.
        terrain: the ground.
        solver: MuJoCo's numerical settings.
    """

    name = "mujoco_cpu"

    def __init__(
        self,
        robot: Robot,
        *,
        num_envs: int,
        physics_dt: float = 0.005,
        decimation: int = 4,
        threads: int | None = None,
        terrain: Terrain = FLAT,
        solver: SolverOptions | None = None,
    ) -> None:
        self.device = torch.device("cpu")
        self.robot = robot
        self.num_envs = num_envs
        self.physics_dt = physics_dt
        self.decimation = decimation
        built = build_model(robot, physics_dt, solver, terrain)
        self.contact_geoms = built.contact_geoms
        self.foot_columns = tuple(built.contact_geoms.index(foot.geom) for foot in robot.feet)
        self._built = built

        threads = len(os.sched_getaffinity(0)) if threads is None else threads
        # MuJoCo would write MUJOCO_LOG.TXT into the working directory; a state that diverges is reported by `diverged`.
        mujoco.set_mju_user_warning(lambda message: None)
        self._pool = Rollout(nthread=threads)
        self._models = [copy.copy(built.model) for _ in range(num_envs)]
        self._data = [mujoco.MjData(built.model) for _ in range(max(1, threads))]
        self._scratch = mujoco.MjData(built.model)
        # A few chunks a thread: small enough to balance, large enough to cost nothing.
        self._chunk = max(1, num_envs // (max(1, threads) * 8))

        self.capabilities = _capabilities(robot, built)
        self._parameters = ModelParameters(robot, built, self._models, self.capabilities.parameters)
        self._values = self._parameters.values

        nq, nv, nj = built.model.nq, built.model.nv, robot.num_joints
        nstate = mujoco.mj_stateSize(built.model, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        if nstate != 1 + nq + nv:
            raise ValueError(f"{robot.mjcf.name}: a state of {nstate} numbers holds more than time, qpos and qvel")
        self._qpos, self._qvel = slice(1, 1 + nq), slice(1 + nq, 1 + nq + nv)
        self._base_dofs = nv - nj  # 6, or 0 where the base is fixed
        base = built.model.body(robot.base_body)
        self._fixed_pose: Tensor | None = None
        if robot.fixed_base:
            self._fixed_pose = torch.from_numpy(np.concatenate([base.pos, base.quat])).float()
        self._state = np.zeros((num_envs, nstate))
        self._state[:, 0] = _START
        self._state[:, self._qpos] = built.model.qpos0
        self._control = np.zeros((num_envs, decimation, nj))
        # Where something pulls at a base, controls are followed by force and torque on each body, in the world.
        self._controls_and_forces = np.zeros((num_envs, decimation, nj + 6 * built.model.nbody))
        self._on_base = slice(nj + 6 * base.id, nj + 6 * base.id + 6)
        self._pulled = False
        self._states = np.empty((num_envs, decimation, nstate))
        self._sensors = np.empty((num_envs, decimation, built.model.nsensordata))
        self.diverged = torch.zeros(num_envs, dtype=torch.bool)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(num_envs, *shape)

        self.state = EngineState(
            root_pos=zeros(3),
            root_quat=zeros(4),
            root_lin_vel=zeros(3),
            root_ang_vel=zeros(3),
            joint_pos=zeros(nj),
            joint_vel=zeros(nj),
            joint_torque=zeros(nj),
            contact_force=zeros(len(self.contact_geoms)),
            foot_pos=zeros(len(robot.feet), 3),
            foot_vel=zeros(len(robot.feet), 3),
        )
        self._read_state(np.repeat(self._state[:, None], decimation, axis=1))

    # -- stepping ---------------------------------------------------------------------------------------------

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
        rows = ids.numpy()
        qpos, qvel = joint_pos, joint_vel
        if self._fixed_pose is not None:
            root_pos, root_quat = self._fixed_pose.expand(len(ids), 7).split((3, 4), dim=1)
            root_lin_vel = root_ang_vel = torch.zeros_like(root_pos)
        else:
            qpos = torch.cat([root_pos, root_quat, joint_pos], dim=1)
            qvel = torch.cat([root_lin_vel, root_ang_vel, joint_vel], dim=1)
        self._state[rows, 0] = _START
        self._state[rows, self._qpos] = qpos.double().numpy()
        self._state[rows, self._qvel] = qvel.double().numpy()
        self.diverged[ids] = False
        state = self.state
        state.root_pos[ids], state.root_quat[ids] = root_pos, root_quat
        state.root_lin_vel[ids], state.root_ang_vel[ids] = root_lin_vel, root_ang_vel
        state.joint_pos[ids], state.joint_vel[ids] = joint_pos, joint_vel
        state.joint_torque[ids] = 0.0
        state.contact_force[ids] = 0.0
        state.foot_vel[ids] = 0.0
        state.foot_pos[ids] = self._foot_positions(rows)
        trace = self.trace
        trace.root_quat[ids] = root_quat[:, None]
        trace.root_ang_vel[ids] = root_ang_vel[:, None]
        trace.joint_pos[ids] = joint_pos[:, None]
        trace.joint_vel[ids] = joint_vel[:, None]

    def step(self, targets: Tensor) -> None:
        self._control[:] = targets.numpy()
        # MuJoCo answers a control that is not finite with zero and a warning; here it is a diverged environment.
        bad = ~np.isfinite(self._control).all(axis=(1, 2))
        self._control[bad] = 0.0
        start = self._state[:, 0].copy()
        control, kinds = self._control, _TARGETS
        if self._pulled:
            control, kinds = self._controls_and_forces, _TARGETS | _FORCES
            control[..., : self._control.shape[2]] = self._control
            pull = np.concatenate([self._values["base_force"], self._values["base_torque"]], axis=1)
            control[..., self._on_base] = pull[:, None]
        self._pool.rollout(
            self._models,
            self._data,
            self._state,
            control,
            control_spec=kinds,
            skip_checks=True,
            nstep=self.decimation,
            state=self._states,
            sensordata=self._sensors,
            chunk_size=self._chunk,
        )
        end = self._states[:, -1]
        # MuJoCo resets a state that explodes and rollout stops there: either way the clock is not where it should be.
        late = np.abs(end[:, 0] - start - self.decimation * self.physics_dt) > 0.5 * self.physics_dt
        speed = np.abs(end[:, self._qvel])
        bad |= late | ~np.isfinite(end).all(axis=1) | ~np.isfinite(self._sensors[:, -1]).all(axis=1)
        base = self._base_dofs
        bad |= ~(speed[:, :base].max(axis=1, initial=0.0) <= MAX_SPEED)
        bad |= ~(speed[:, base:].max(axis=1) <= MAX_JOINT_SPEED)
        if bad.any():
            self._states[bad] = self._state[bad, None]
            self._sensors[bad] = 0.0
        self._state[:] = end
        self.diverged = torch.from_numpy(bad)
        self._read_state(self._states)
        self._read_sensors()

    def push(self, ids: Tensor, lin_vel: Tensor, ang_vel: Tensor) -> None:
        if self._fixed_pose is not None:
            raise UsageError(f"push: the base of {self.robot.name} is fixed; take pushes out of the randomisation")
        velocity = torch.cat([lin_vel, ang_vel], dim=1).double().numpy()
        self._state[ids.numpy(), self._qvel.start : self._qvel.start + 6] += velocity
        self.state.root_lin_vel[ids] += lin_vel
        self.state.root_ang_vel[ids] += ang_vel

    def _read_state(self, states: np.ndarray) -> None:
        all_steps = torch.from_numpy(states).float()
        qpos, qvel = all_steps[:, :, self._qpos], all_steps[:, :, self._qvel]
        if self._fixed_pose is not None:
            pose = self._fixed_pose.expand(*qpos.shape[:2], 7)
            qpos = torch.cat([pose, qpos], dim=2)
            qvel = torch.cat([torch.zeros_like(pose[..., :6]), qvel], dim=2)
        self.trace = Trace(qpos[..., 3:7], qvel[..., 3:6], qpos[..., 7:], qvel[..., 6:])
        state, last_pos, last_vel = self.state, qpos[:, -1], qvel[:, -1]
        state.root_pos, state.root_quat, state.joint_pos = (
            last_pos[:, :3].clone(),
            last_pos[:, 3:7].clone(),
            last_pos[:, 7:].clone(),
        )
        state.root_lin_vel, state.root_ang_vel, state.joint_vel = (
            last_vel[:, :3].clone(),
            last_vel[:, 3:6].clone(),
            last_vel[:, 6:].clone(),
        )

    def _read_sensors(self) -> None:
        sensors = torch.from_numpy(self._sensors).float()
        built, feet = self._built, len(self.robot.feet)
        state = self.state
        state.contact_force = sensors[:, -1, built.contact_slice].clone()
        state.joint_torque = sensors[:, -1, built.torque_slice].clone()
        foot_pos = sensors[:, :, built.foot_pos_slice].unflatten(2, (feet, 3))
        before = foot_pos[:, -2] if self.decimation > 1 else state.foot_pos
        state.foot_vel = (foot_pos[:, -1] - before) / self.physics_dt
        state.foot_pos = foot_pos[:, -1].clone()

    def _foot_positions(self, rows: np.ndarray) -> Tensor:
        positions = np.empty((len(rows), len(self.robot.feet), 3))
        geoms = [self._built.model.geom(foot.geom).id for foot in self.robot.feet]
        for i, row in enumerate(rows):
            self._scratch.qpos[:] = self._state[row, self._qpos]
            mujoco.mj_kinematics(self._models[row], self._scratch)
            positions[i] = self._scratch.geom_xpos[geoms]
        return torch.from_numpy(positions).float()

    # -- parameters -------------------------------------------------------------------------------------------

    def set_parameters(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        self._parameters.set(ids.numpy(), values)
        if not _WRENCH.isdisjoint(values):
            self._pulled = any(self._values[name].any() for name in _WRENCH)

    # -- checkpoints ------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "state": torch.from_numpy(self._state.copy()),
            "parameters": {name: torch.from_numpy(v.copy()) for name, v in self._values.items()},
            "diverged": self.diverged.clone(),
            "fields": {name: value.clone() for name, value in vars(self.state).items()},
            "trace": {name: value.clone() for name, value in vars(self.trace).items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._state[:] = state["state"].numpy()
        everyone = torch.arange(self.num_envs, device=self.device)
        self.set_parameters(everyone, state["parameters"])
        self.diverged = state["diverged"].clone()
        self.state = EngineState(**{name: value.clone() for name, value in state["fields"].items()})
        self.trace = Trace(**{name: value.clone() for name, value in state["trace"].items()})

    def close(self) -> None:
        self._pool.close()


def capabilities(robot: Robot) -> Capabilities:
    """What the engine can do with a robot, told without building it."""
    return _capabilities(robot, build_model(robot, physics_dt=0.005))


def _capabilities(robot: Robot, built: MujocoModel) -> Capabilities:
    return Capabilities(parameters_of(robot, built), limits=LIMITS)
