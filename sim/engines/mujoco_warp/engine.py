"""Thousands of environments on an NVIDIA GPU: MuJoCo Warp, one recording a control step. Runs on the CPU for tests."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Capabilities, EngineState, Trace
from sim.engines.mujoco_model import LIMITS, MujocoModel, SolverOptions, build_model
from sim.engines.mujoco_parameters import parameters_of
from sim.engines.mujoco_warp import device as warp_device
from sim.engines.mujoco_warp.capacity import Capacity, count_that_fit
from sim.engines.mujoco_warp.parameters import WorldParameters
from sim.engines.mujoco_warp.simulation import Simulation, put_model, worst_case
from sim.terrains import FLAT, Terrain

_LIMITS = (
    *LIMITS,
    "Arithmetic is float32, and the solver stops at a tolerance of 1e-6; mujoco_cpu has float64 and 1e-8.",
    "Of the contacts of a geom with a height field four are kept; mujoco_cpu keeps up to fifty.",
    "A box that lies on a box touches it with every corner; in mujoco_cpu with one, unless their faces are parallel.",
    "On a GPU contacts are found in no fixed order, so that two runs of one seed differ in the last bits.",
)

_WRENCH = {"base_force": slice(0, 3), "base_torque": slice(3, 6)}

_PROBE = 32  # environments that are built to measure what one takes
_ALWAYS_FIT = 256  # environments; so few are not measured


class MujocoWarpEngine:
    """`num_envs` robots on a GPU, or on the CPU. See `sim.engines.engine.Engine`.

    A step does not wait for the device. There is room for all the contacts and constraints that the model can have;
    should a step need more all the same, a warning says so and room is made before the next one.

    Args:
        robot: the robot description.
        num_envs: environments.
        physics_dt: physics step in s.
        decimation: physics steps a control period.
        terrain: the ground.
        device: `cpu`, `cuda:0`, or `auto`: a GPU if there is one.
        solver: MuJoCo's numerical settings.
        capacity: room for contacts and constraints; worked out from the model if None.

    Raises:
        UsageError: there is no such device, or no memory on it for so many environments.
    """

    name = "mujoco_warp"

    def __init__(
        self,
        robot: Robot,
        *,
        num_envs: int,
        physics_dt: float = 0.005,
        decimation: int = 4,
        terrain: Terrain = FLAT,
        device: str = "auto",
        solver: SolverOptions | None = None,
        capacity: Capacity | None = None,
    ) -> None:
        self.device = warp_device.start(device)
        self.robot = robot
        self.num_envs = num_envs
        self.physics_dt = physics_dt
        self.decimation = decimation
        built = build_model(robot, physics_dt, solver, terrain)
        self._built = built
        self.contact_geoms = built.contact_geoms
        self.foot_columns = tuple(built.contact_geoms.index(foot.geom) for foot in robot.feet)
        self.capabilities = _capabilities(robot, built)

        def constant(values: Any, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.as_tensor(values, dtype=dtype, device=self.device)

        base = built.model.body(robot.base_body)
        self._base_body = base.id
        self._fixed_pose = constant([[*base.pos, *base.quat]]) if robot.fixed_base else None
        self._foot_geoms = constant([built.model.geom(foot.geom).id for foot in robot.feet], torch.long)
        capacity = capacity or worst_case(built, self.device)
        if num_envs > _ALWAYS_FIT:
            settings: dict[str, Any] = {"physics_dt": physics_dt, "decimation": decimation, "terrain": terrain}
            most = environments_that_fit(robot, device=device, solver=solver, capacity=capacity, **settings)
            if num_envs > most:
                raise UsageError(f"num_envs {num_envs}: {self.device} has free memory for {most} of these environments")
        self._model = put_model(built, num_envs, self.device)
        self._parameters = WorldParameters(
            robot, built, self._model, self.capabilities.parameters, num_envs, self.device
        )
        self._simulation = self._simulate(capacity)

        self._read()
        reference = constant(built.model.qpos0).expand(num_envs, -1)
        root = reference[:, :7] if self._fixed_pose is None else self._fixed_pose
        rest = constant(0.0).expand(num_envs, 3)
        joints = reference[:, -robot.num_joints :]
        everyone = torch.arange(num_envs, device=self.device)
        self.reset(everyone, root[:, :3], root[:, 3:], rest, rest, joints, torch.zeros_like(joints))

    def _simulate(self, capacity: Capacity) -> Simulation:
        return Simulation(
            self._built, self._model, capacity, self.num_envs, self.decimation, self._base_body, self.device
        )

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
        simulation = self._simulation
        qpos, qvel = joint_pos, joint_vel
        if self._fixed_pose is not None:
            root_pos, root_quat = self._fixed_pose.split((3, 4), dim=1)
            root_lin_vel = root_ang_vel = torch.zeros(1, 3, device=self.device)
        else:
            qpos = torch.cat([root_pos, root_quat, joint_pos], dim=1)
            qvel = torch.cat([root_lin_vel, root_ang_vel, joint_vel], dim=1)
        simulation.qpos[ids], simulation.qvel[ids] = qpos, qvel
        simulation.warmstart[ids] = 0.0
        simulation.update_positions()
        foot_pos = simulation.geom_pos[ids[:, None], self._foot_geoms]
        simulation.feet[ids] = foot_pos.flatten(1)
        self.diverged[ids] = False
        state = self.state
        state.root_pos[ids], state.root_quat[ids] = root_pos, root_quat
        state.root_lin_vel[ids], state.root_ang_vel[ids] = root_lin_vel, root_ang_vel
        state.joint_pos[ids], state.joint_vel[ids] = joint_pos, joint_vel
        state.joint_torque[ids] = 0.0
        state.contact_force[ids] = 0.0
        state.foot_pos[ids] = foot_pos
        state.foot_vel[ids] = 0.0
        trace = self.trace
        trace.root_quat[ids] = root_quat[:, None]
        trace.root_ang_vel[ids] = root_ang_vel[:, None]
        trace.joint_pos[ids] = joint_pos[:, None]
        trace.joint_vel[ids] = joint_vel[:, None]

    def step(self, targets: Tensor) -> None:
        lacking = self._simulation.lacking()
        if lacking is not None:
            self._enlarge(lacking)
        self._simulation.targets.copy_(targets)
        self._simulation.step()
        self._read()

    def push(self, ids: Tensor, lin_vel: Tensor, ang_vel: Tensor) -> None:
        if self._fixed_pose is not None:
            raise UsageError(f"push: the base of {self.robot.name} is fixed; take pushes out of the randomisation")
        self._simulation.qvel[ids, :6] += torch.cat([lin_vel, ang_vel], dim=1)
        self.state.root_lin_vel[ids] += lin_vel
        self.state.root_ang_vel[ids] += ang_vel

    def _read(self) -> None:
        """Copy what the recording wrote, on the device: the next step writes there again, and others keep these."""
        simulation, joints = self._simulation, self.robot.num_joints
        states = simulation.states
        if self._fixed_pose is None:
            states = states.clone()
        else:
            pose = self._fixed_pose.expand(*states.shape[:2], 7)
            qpos, qvel = states.split(joints, dim=2)
            states = torch.cat([pose, qpos, torch.zeros_like(pose[..., :6]), qvel], dim=2)
        columns = (3, 4, joints, 3, 3, joints)
        _, root_quat, joint_pos, _, root_ang_vel, joint_vel = states.split(columns, dim=2)
        self.trace = Trace(root_quat, root_ang_vel, joint_pos, joint_vel)
        last = states[:, -1].clone()
        root_pos, root_quat, joint_pos, root_lin_vel, root_ang_vel, joint_vel = last.split(columns, dim=1)
        outputs, built, feet = simulation.outputs.clone(), self._built, (len(self.robot.feet), 3)
        self.state = EngineState(
            root_pos=root_pos,
            root_quat=root_quat,
            root_lin_vel=root_lin_vel,
            root_ang_vel=root_ang_vel,
            joint_pos=joint_pos,
            joint_vel=joint_vel,
            joint_torque=outputs[:, built.torque_slice],
            contact_force=outputs[:, built.contact_slice],
            foot_pos=outputs[:, built.foot_pos_slice].unflatten(1, feet),
            foot_vel=outputs[:, built.model.nsensordata :].unflatten(1, feet),
        )
        self.diverged = simulation.diverged.clone()

    def _enlarge(self, capacity: Capacity) -> None:
        """Make room for more contacts and constraints. It records anew, and the device is waited for."""
        small = self._simulation
        warnings.warn(
            f"mujoco_warp: contacts were lost, for want of room: {small.capacity.contacts} contacts an environment and "
            f"{small.capacity.rows} constraint rows in each are now {capacity.contacts} and {capacity.rows}",
            RuntimeWarning,
            stacklevel=3,
        )
        warp_device.synchronise(self.device)
        self._simulation = self._simulate(capacity)
        self._simulation.continue_from(small)

    # -- parameters and checkpoints -----------------------------------------------------------------------------

    def set_parameters(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        self._parameters.set(ids, values)
        for name, columns in _WRENCH.items():
            if name in values:
                self._simulation.base_wrench[ids, columns] = values[name].float()

    def state_dict(self) -> dict[str, Any]:
        return {
            "simulation": {name: value.clone() for name, value in self._simulation.memory().items()},
            "parameters": {name: value.clone() for name, value in self._parameters.values.items()},
            "diverged": self.diverged.clone(),
            "fields": {name: value.clone() for name, value in vars(self.state).items()},
            "trace": {name: value.clone() for name, value in vars(self.trace).items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        def here(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: value.to(self.device, copy=True) for name, value in tensors.items()}

        for name, value in self._simulation.memory().items():
            value.copy_(state["simulation"][name])
        self.set_parameters(torch.arange(self.num_envs, device=self.device), here(state["parameters"]))
        self.diverged = state["diverged"].to(self.device, copy=True)
        self.state = EngineState(**here(state["fields"]))
        self.trace = Trace(**here(state["trace"]))

    def close(self) -> None:
        warp_device.synchronise(self.device)
        for name in ("_simulation", "_parameters", "_model"):
            self.__dict__.pop(name, None)


def capabilities(robot: Robot) -> Capabilities:
    """What the engine can do with a robot, told without building it."""
    return _capabilities(robot, build_model(robot, physics_dt=0.005))


def _capabilities(robot: Robot, built: MujocoModel) -> Capabilities:
    return Capabilities(parameters_of(robot, built), devices=("cpu", "cuda"), limits=_LIMITS)


def environments_that_fit(robot: Robot, *, device: str = "auto", **settings: Any) -> int:
    """How many environments the device has room for, beside what is on it and with a fifth of the free memory left.

    A few are built and measured.

    Args:
        robot: the robot description.
        device: as `MujocoWarpEngine` takes it.
        settings: other arguments of `MujocoWarpEngine`, but `num_envs`.
    """

    def build() -> object:
        return MujocoWarpEngine(robot, num_envs=_PROBE, device=device, **settings)

    return count_that_fit(build, _PROBE, warp_device.start(device))
