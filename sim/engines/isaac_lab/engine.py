"""Isaac Lab 3 behind the engine protocol: its scene, articulation and sensors, on the physics of Newton."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Capabilities, EngineState, Trace
from sim.engines.mujoco_cpu import MAX_JOINT_SPEED, MAX_SPEED
from sim.engines.mujoco_model import LIMITS, MujocoModel, SolverOptions, build_model
from sim.engines.mujoco_parameters import parameters_of
from sim.engines.mujoco_warp import device as warp_device
from sim.engines.mujoco_warp.capacity import Capacity
from sim.formats.tree import read_tree
from sim.rotations import quat_rotate
from sim.terrains import FLAT, Terrain

if TYPE_CHECKING:
    from sim.engines.isaac_lab.physics import Physics

_SOLVER = SolverOptions(ls_iterations=50)  # with fewer, MuJoCo Warp's kernels print

# What Isaac Lab's articulation has a word for, and friction.
PARAMETERS = (
    "friction",
    "payload_mass",
    "base_com",
    "motor_strength",
    "kp_factor",
    "kd_factor",
    "joint_friction",
    "joint_damping",
    "joint_armature",
)

_LIMITS = (
    *LIMITS,
    "One simulation in a process: Isaac Lab cannot hold a second.",
    "The force on a geom is the sum of its contact forces as vectors, of which the normal part counts: on an edge, "
    "forces that oppose each other cancel.",
    "Arithmetic is float32. On a GPU contacts are found in no fixed order: two runs of a seed differ in the last bits.",
)


class IsaacLabEngine:
    """`num_envs` robots in Isaac Lab. See `sim.engines.engine.Engine`.

    Args:
        robot: the robot description.
        num_envs: environments.
        physics_dt: physics step in s.
        decimation: physics steps a control period.
        terrain: the ground.
        device: `cpu`, `cuda:0`, or `auto`: a GPU if there is one.
        solver: MuJoCo's numerical settings.

    Raises:
        UsageError: a simulation is open in this process already, or there is no such device.
    """

    name = "isaac_lab"

    def __init__(
        self,
        robot: Robot,
        *,
        num_envs: int,
        physics_dt: float = 0.005,
        decimation: int = 4,
        terrain: Terrain = FLAT,
        device: str = "auto",
        solver: SolverOptions = _SOLVER,
    ) -> None:
        self.device = warp_device.start(device)
        # Here, since importing Isaac Lab starts Warp, and Warp has by now been told to be quiet.
        from sim.engines.isaac_lab.parameters import ArticulationParameters
        from sim.engines.isaac_lab.scene import Scene

        self.robot = robot
        self.num_envs = num_envs
        self.physics_dt = physics_dt
        self.decimation = decimation
        built = build_model(robot, physics_dt, solver, terrain)
        self.contact_geoms = built.contact_geoms
        self.foot_columns = tuple(built.contact_geoms.index(foot.geom) for foot in robot.feet)
        self.capabilities = self._capabilities(robot, built)
        self._physics = self._make_physics(built, solver)
        self._scene = Scene(
            robot,
            num_envs=num_envs,
            physics_dt=physics_dt,
            terrain=terrain,
            device=self.device,
            physics=self._physics,
            contact_geoms=self.contact_geoms,
        )
        self._articulation = self._scene.articulation
        self._parameters = ArticulationParameters(
            robot, self._scene, self._physics, self.capabilities.parameters, num_envs, self.device
        )
        self._foot_bodies = [foot.body for foot in robot.feet]
        self._foot_offsets = torch.tensor(_foot_offsets(robot), device=self.device).reshape(-1, 3)
        self._fixed = robot.fixed_base
        joints, feet = robot.num_joints, len(robot.feet)

        def filled(values: Any, *shape: int) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=self.device).expand(num_envs, *shape).clone()

        base = built.model.body(robot.base_body)
        self.state = EngineState(
            root_pos=filled(base.pos if self._fixed else (0.0, 0.0, robot.standing_height), 3),
            root_quat=filled(base.quat if self._fixed else (1.0, 0.0, 0.0, 0.0), 4),
            root_lin_vel=filled(0.0, 3),
            root_ang_vel=filled(0.0, 3),
            joint_pos=filled(robot.default_joint_pos, joints),
            joint_vel=filled(0.0, joints),
            joint_torque=filled(0.0, joints),
            contact_force=filled(0.0, len(self.contact_geoms)),
            foot_pos=filled(0.0, feet, 3),
            foot_vel=filled(0.0, feet, 3),
        )
        self.trace = Trace(
            root_quat=filled(0.0, decimation, 4),
            root_ang_vel=filled(0.0, decimation, 3),
            joint_pos=filled(0.0, decimation, joints),
            joint_vel=filled(0.0, decimation, joints),
        )
        self._feet = filled(0.0, feet, 3)  # now; those in `state` are one physics step older
        self.diverged = torch.zeros(num_envs, dtype=torch.bool, device=self.device)
        everyone = torch.arange(num_envs, device=self.device)
        self._put_back(everyone, self.state)
        self._scene.advance(self.state.joint_pos)  # compiles the kernels, so that no step of the user's has to
        self._put_back(everyone, self.state)
        self.diverged[:] = False

    @staticmethod
    def _make_physics(built: MujocoModel, solver: SolverOptions) -> "Physics":
        from sim.engines.isaac_lab.newton import Newton

        return Newton(solver, Capacity.of(built.model, _pairs(built.model)))

    @staticmethod
    def _capabilities(robot: Robot, built: MujocoModel) -> Capabilities:
        return _capabilities(robot, built)

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
        state, trace = self.state, self.trace
        if self._fixed:
            root_pos, root_quat = state.root_pos[ids], state.root_quat[ids]
            root_lin_vel = root_ang_vel = torch.zeros_like(root_pos)
        state.root_pos[ids], state.root_quat[ids] = root_pos, root_quat
        state.root_lin_vel[ids], state.root_ang_vel[ids] = root_lin_vel, root_ang_vel
        state.joint_pos[ids], state.joint_vel[ids] = joint_pos, joint_vel
        self._write_state(ids)
        foot_pos = self._foot_positions()[ids]
        state.joint_torque[ids] = 0.0
        state.contact_force[ids] = 0.0
        state.foot_pos[ids] = self._feet[ids] = foot_pos
        state.foot_vel[ids] = 0.0
        trace.root_quat[ids] = root_quat[:, None]
        trace.root_ang_vel[ids] = root_ang_vel[:, None]
        trace.joint_pos[ids] = joint_pos[:, None]
        trace.joint_vel[ids] = joint_vel[:, None]
        self.diverged[ids] = False

    def step(self, targets: Tensor) -> None:
        before = self.state
        bad = ~targets.isfinite().all(dim=2).all(dim=1)
        targets = torch.where(bad[:, None, None], 0.0, targets)
        feet = [before.foot_pos, self._feet]
        rows = []
        for step in range(self.decimation):
            self._scene.advance(targets[:, step])
            feet.append(self._foot_positions())
            rows.append(self._read_motion())
        root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos, joint_vel = rows[-1]
        state = EngineState(
            root_pos=root_pos,
            root_quat=root_quat,
            root_lin_vel=root_lin_vel,
            root_ang_vel=root_ang_vel,
            joint_pos=joint_pos,
            joint_vel=joint_vel,
            joint_torque=self._articulation.actuators.applied_effort.torch[:, self._scene.joints],
            contact_force=self._physics.contact_force(),
            foot_pos=feet[-2],
            foot_vel=(feet[-2] - feet[-3]) / self.physics_dt,
        )
        quats, spins, positions, speeds = (torch.stack([row[i] for row in rows], dim=1) for i in (1, 3, 4, 5))
        self.state, self.trace, self._feet = state, Trace(quats, spins, positions, speeds), feet[-1]
        self.diverged = bad | _diverged(state)
        if self.diverged.any():
            self._put_back(self.diverged.nonzero()[:, 0], before)

    def push(self, ids: Tensor, lin_vel: Tensor, ang_vel: Tensor) -> None:
        if self._fixed:
            raise UsageError(f"push: the base of {self.robot.name} is fixed; take pushes out of the randomisation")
        self.state.root_lin_vel[ids] += lin_vel
        self.state.root_ang_vel[ids] += ang_vel
        self._write_root_velocity(ids)

    def _read_motion(self) -> tuple[Tensor, ...]:
        """Root position, orientation, velocity, spin, joint positions and velocities now: own copies."""
        data, joints = self._articulation.data, self._scene.joints
        joint_pos, joint_vel = data.joint_pos.torch[:, joints], data.joint_vel.torch[:, joints]
        if self._fixed:
            state = self.state
            return state.root_pos, state.root_quat, state.root_lin_vel, state.root_ang_vel, joint_pos, joint_vel
        quat = data.root_link_quat_w.torch.roll(1, dims=1)  # Isaac Lab's is x, y, z, w
        # Not `root_link_lin_vel_w`: on PhysX, Isaac Lab 3.0 gives the velocity of the centre of mass by that name, too.
        velocity, spin = data.root_com_vel_w.torch.split(3, dim=1)
        lever = quat_rotate(quat, data.body_com_pos_b.torch[:, self._scene.base])
        return (
            data.root_link_pos_w.torch.clone(),
            quat,
            velocity - torch.linalg.cross(spin, lever),
            data.root_link_ang_vel_b.torch.clone(),
            joint_pos,
            joint_vel,
        )

    def _foot_positions(self) -> Tensor:
        """(N, F, 3) m, world, now."""
        if not self._foot_bodies:
            return self._feet
        position, quat = self._scene.body_pose(self._foot_bodies)
        return position + quat_rotate(quat, self._foot_offsets.expand_as(position))

    def _write_state(self, ids: Tensor) -> None:
        """Put robots `ids` where `state` says they are."""
        state, robot, rows = self.state, self._articulation, ids.int()
        if not self._fixed:
            pose = torch.cat([state.root_pos[ids], state.root_quat[ids].roll(-1, dims=1)], dim=1)
            robot.write_root_link_pose_to_sim_index(root_pose=pose, env_ids=rows)
            self._write_root_velocity(ids)
        joints = self._scene.joints
        robot.write_joint_position_to_sim_index(position=state.joint_pos[ids], joint_ids=joints, env_ids=rows)
        robot.write_joint_velocity_to_sim_index(velocity=state.joint_vel[ids], joint_ids=joints, env_ids=rows)

    def _write_root_velocity(self, ids: Tensor) -> None:
        state = self.state
        spin = quat_rotate(state.root_quat[ids], state.root_ang_vel[ids])
        velocity = torch.cat([state.root_lin_vel[ids], spin], dim=1)
        self._articulation.write_root_link_velocity_to_sim_index(root_velocity=velocity, env_ids=ids.int())

    def _put_back(self, ids: Tensor, before: EngineState) -> None:
        """Give diverged robots the state that they had before the step."""
        self.reset(
            ids,
            before.root_pos[ids],
            before.root_quat[ids],
            before.root_lin_vel[ids],
            before.root_ang_vel[ids],
            before.joint_pos[ids],
            before.joint_vel[ids],
        )
        self.diverged[ids] = True

    # -- parameters and checkpoints -----------------------------------------------------------------------------

    def set_parameters(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        self._parameters.set(ids, values)
        if "base_com" in values and not self._fixed:
            self._write_root_velocity(ids)  # Isaac Lab keeps the velocity of the centre of mass

    def state_dict(self) -> dict[str, Any]:
        simulation = {name: value.clone() for name, value in self._memory().items()}
        if self._physics.hides_memory:
            self._write_simulation(simulation)  # so that this run goes on as one that loads will
        return {
            "simulation": simulation,
            "parameters": {name: value.clone() for name, value in self._parameters.values.items()},
            "diverged": self.diverged.clone(),
            "feet": self._feet.clone(),
            "fields": {name: value.clone() for name, value in vars(self.state).items()},
            "trace": {name: value.clone() for name, value in vars(self.trace).items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        def here(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: value.to(self.device, copy=True) for name, value in tensors.items()}

        self._parameters.set(torch.arange(self.num_envs, device=self.device), here(state["parameters"]))
        self._write_simulation(here(state["simulation"]))
        self.diverged = state["diverged"].to(self.device, copy=True)
        self._feet = state["feet"].to(self.device, copy=True)
        self.state = EngineState(**here(state["fields"]))
        self.trace = Trace(**here(state["trace"]))

    def _write_simulation(self, simulation: Mapping[str, Tensor]) -> None:
        """Inverse of `_memory`."""
        robot = self._articulation
        if not self._fixed:
            robot.write_root_link_pose_to_sim_index(root_pose=simulation["root_pose"])
            robot.write_root_com_velocity_to_sim_index(root_velocity=simulation["root_com_vel"])
        robot.write_joint_position_to_sim_index(position=simulation["joint_pos"])
        robot.write_joint_velocity_to_sim_index(velocity=simulation["joint_vel"])
        self._scene.forward()  # forgets what the solver remembers, which comes next
        for name, value in self._physics.memory().items():
            value.copy_(simulation[name])

    def _memory(self) -> dict[str, Tensor]:
        """What physics goes on from, as Isaac Lab has it: to the last bit, and in its order of joints."""
        data = self._articulation.data
        motion = {"joint_pos": data.joint_pos.torch, "joint_vel": data.joint_vel.torch}
        if not self._fixed:
            motion |= {"root_pose": data.root_link_pose_w.torch, "root_com_vel": data.root_com_vel_w.torch}
        return motion | self._physics.memory()

    def close(self) -> None:
        self.__dict__.pop("_articulation", None)
        self.__dict__.pop("_parameters", None)
        self.__dict__.pop("_physics", None)
        self._scene.close()


def _pairs(model: mujoco.MjModel) -> NDArray[np.int32]:
    """(P, 2) geoms that may collide: ground has the bits of one kind alone, the robot of the other."""
    return np.argwhere(model.geom_contype[:, None] & model.geom_conaffinity).astype(np.int32)


def _foot_offsets(robot: Robot) -> list[list[float]]:
    """Centre of each foot in the frame of its body, m."""
    tree = read_tree(robot)
    geoms = {geom.name: geom for link in tree.links for geom in link.geoms}
    return [geoms[foot.geom].pose.pos.tolist() for foot in robot.feet]


def _diverged(state: EngineState) -> Tensor:
    """(N,) bool: something is not finite, or faster than any robot of ours. NaN compares false."""
    base = torch.cat([state.root_lin_vel, state.root_ang_vel], dim=1)
    sound = (base.abs() <= MAX_SPEED).all(dim=1) & (state.joint_vel.abs() <= MAX_JOINT_SPEED).all(dim=1)
    for value in (state.root_pos, state.root_quat, state.joint_pos, state.joint_torque, state.contact_force):
        sound &= value.isfinite().all(dim=1)
    return ~sound


def capabilities(robot: Robot) -> Capabilities:
    """What the engine can do with a robot, told without building it."""
    return _capabilities(robot, build_model(robot, physics_dt=0.005))


def _capabilities(robot: Robot, built: MujocoModel) -> Capabilities:
    known = parameters_of(robot, built)
    return Capabilities({name: known[name] for name in PARAMETERS}, devices=("cpu", "cuda"), limits=_LIMITS)
