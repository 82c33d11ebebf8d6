"""An independent solver: PyBullet's, each environment a world of its own, stepped by a pool of processes.

What Bullet does differently from MuJoCo is what makes it worth having: contacts and joint stops are hard, found by
Gauss-Seidel sweeps instead of a convex programme, friction has a round cone, and servos are explicit, in substeps.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Capabilities, EngineState, Trace
from sim.engines.inertia import OF_THE_BASE, Body, check_mass, is_shaped, loaded, principal
from sim.engines.pybullet.frames import from_bullet, to_bullet
from sim.engines.pybullet.model import build_spec, parameters
from sim.engines.pybullet.pool import open_worlds
from sim.engines.pybullet.spec import ROOT, Array
from sim.formats.tree import RobotTree, read_tree
from sim.terrains import FLAT, Terrain

_LIMITS = (
    "Contacts and joint stops are hard: they have none of the give of MuJoCo's.",
    "Boxes and capsules rest up to 1 mm above a height field.",
    "Height fields are surfaces: what has passed through one meets no ground below it.",
    "Each environment takes about 35 MB of memory.",
)


class PybulletEngine:
    """`num_envs` robots in PyBullet. See `sim.engines.engine.Engine`.

    Args:
        robot: the robot description.
        num_envs: environments.
        physics_dt: physics step in s; Bullet takes one or more substeps in it.
        decimation: physics steps a control period.
        processes: that step the environments; one a core, but no more than environments, if None; 0 for the calling
            process. Their number changes no bit of any result.
        terrain: the ground.

    Raises:
        UsageError: the robot is no tree of hinges, slides and primitive shapes, or PyBullet is not installed.
        LandbridgeError: a process did not come up; from all methods: one died.
    """

    name = "pybullet"

    def __init__(
        self,
        robot: Robot,
        *,
        num_envs: int,
        physics_dt: float = 0.005,
        decimation: int = 4,
        processes: int | None = None,
        terrain: Terrain = FLAT,
    ) -> None:
        self.device = torch.device("cpu")
        self.robot = robot
        self.num_envs = num_envs
        self.physics_dt = physics_dt
        self.decimation = decimation
        tree = read_tree(robot)
        self.contact_geoms = tuple(geom.name for link in tree.links for geom in link.geoms if geom.collides)
        self.foot_columns = tuple(self.contact_geoms.index(foot.geom) for foot in robot.feet)
        self.capabilities = _capabilities(robot, tree)
        base = tree.base
        self._nominal_base = np.array([base.mass, *base.com, *base.principal_inertia, *base.principal_quat])
        figures = (np.float64(base.mass), base.com, base.inertia)
        self._base = Body(*(torch.as_tensor(figure, device="cpu")[None] for figure in figures))
        origin = tree.base.joint.origin
        self._fixed = np.concatenate([origin.pos, origin.quat, np.zeros(6)]) if robot.fixed_base else None

        spec = build_spec(robot, tree, terrain, physics_dt, decimation)
        processes = len(os.sched_getaffinity(0)) if processes is None else processes
        nominal = {name: np.broadcast_to(p.nominal, p.size) for name, p in self.capabilities.parameters.items()}
        self._batch, self._worlds = open_worlds(spec, num_envs, nominal, self._nominal_base, min(processes, num_envs))

        joints = robot.num_joints
        self._state = np.zeros((num_envs, ROOT + 2 * joints))  # in this project's terms
        self._state[:, 3] = 1.0
        self._set_fixed_base(self._state)
        self.diverged = torch.zeros(num_envs, dtype=torch.bool)
        self.trace, fields = self._read(np.repeat(self._state[:, None], decimation, axis=1))
        self.state = EngineState(
            **fields,
            joint_torque=torch.zeros(num_envs, joints),
            contact_force=torch.zeros(num_envs, len(self.contact_geoms)),
            foot_pos=self._foot_positions(np.arange(num_envs)),
            foot_vel=torch.zeros(num_envs, len(robot.feet), 3),
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
        rows = ids.numpy()
        root = [root_pos, root_quat, root_lin_vel, root_ang_vel]
        placed = torch.cat([*root, joint_pos, joint_vel], dim=1).double().numpy()
        self._set_fixed_base(placed)
        self._state[rows] = placed
        self.diverged[ids] = False
        state = self.state
        trace, fields = self._read(np.repeat(placed[:, None], self.decimation, axis=1))
        for name, value in fields.items():
            getattr(state, name)[ids] = value
        for name, value in vars(trace).items():
            getattr(self.trace, name)[ids] = value
        state.joint_torque[ids] = 0.0
        state.contact_force[ids] = 0.0
        state.foot_vel[ids] = 0.0
        state.foot_pos[ids] = self._foot_positions(rows)

    def step(self, targets: Tensor) -> None:
        batch, state = self._batch, self.state
        batch.targets[:] = targets.numpy()
        bad = ~np.isfinite(batch.targets).all(axis=(1, 2))
        batch.targets[bad] = 0.0
        com, principal = batch.base[:, 1:4], batch.base[:, 7:]
        batch.state[:] = to_bullet(self._state, com, principal)
        self._worlds.step(range(self.num_envs))
        bad |= batch.diverged[:, 0] > 0.0
        with np.errstate(invalid="ignore", over="ignore"):
            states = from_bullet(batch.states, com[:, None], principal[:, None])
        # Bullet's quaternions change sign at will.
        states[..., 3:7] *= np.where(
            (states[..., 3:7] * self._state[:, None, 3:7]).sum(-1, keepdims=True) < 0.0, -1.0, 1.0
        )
        self._set_fixed_base(states)
        states[bad] = self._state[bad, None]
        contact, torque, feet = batch.contact.copy(), batch.torque.copy(), torch.from_numpy(batch.feet).float()
        contact[bad] = torque[bad] = feet[bad] = 0.0
        self._state = states[:, -1].copy()
        self.diverged = torch.from_numpy(bad)
        self.trace, fields = self._read(states)
        for name, value in fields.items():
            setattr(state, name, value)
        state.joint_torque = torch.from_numpy(torque).float()
        state.contact_force = torch.from_numpy(contact).float()
        before = feet[:, 0] if self.decimation > 1 else state.foot_pos
        state.foot_pos = feet[:, 1].clone()
        state.foot_vel = (state.foot_pos - before) / self.physics_dt

    def push(self, ids: Tensor, lin_vel: Tensor, ang_vel: Tensor) -> None:
        if self._fixed is not None:
            raise UsageError(f"push: the base of {self.robot.name} is fixed; take pushes out of the randomisation")
        self._state[ids.numpy(), 7:ROOT] += torch.cat([lin_vel, ang_vel], dim=1).double().numpy()
        self.state.root_lin_vel[ids] += lin_vel
        self.state.root_ang_vel[ids] += ang_vel

    def _set_fixed_base(self, states: Array) -> None:
        """A base that is fixed is where the description puts it, whatever the caller or rounding says."""
        if self._fixed is not None:
            states[..., :ROOT] = self._fixed

    def _read(self, states: Array) -> tuple[Trace, dict[str, Tensor]]:
        """The trace and the kinematic fields of the state, from states (n, S, D) after each physics step."""
        values = torch.from_numpy(states).float()
        joints = self.robot.num_joints
        pos, quat, linear, angular, q, qd = values.split((3, 4, 3, 3, joints, joints), dim=2)
        trace = Trace(quat, angular, q, qd)
        names = ("root_pos", "root_quat", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")
        last = (value[:, -1].clone() for value in (pos, quat, linear, angular, q, qd))
        return trace, dict(zip(names, last, strict=True))

    def _foot_positions(self, rows: np.ndarray) -> Tensor:
        base = self._batch.base[rows]
        self._batch.state[rows] = to_bullet(self._state[rows], base[:, 1:4], base[:, 7:])
        self._worlds.place(rows.tolist())
        return torch.from_numpy(self._batch.feet[rows, -1]).float()

    # -- parameters and checkpoints ---------------------------------------------------------------------------

    def set_parameters(self, ids: Tensor, values: Mapping[str, Tensor]) -> None:
        known = self._batch.parameters
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise UsageError(f"engine {self.name} has no parameter '{unknown[0]}'; it has {', '.join(sorted(known))}")
        rows = ids.numpy()
        for name, value in values.items():
            known[name][rows] = value.double().numpy()
        if not set(OF_THE_BASE).isdisjoint(values):
            self._write_bases(rows)
        self._worlds.configure(rows.tolist())

    def _write_bases(self, rows: np.ndarray) -> None:
        """What the parameters make of the bases; nominal inertias to the last bit where nothing shapes them."""
        values = {name: torch.from_numpy(self._batch.parameters[name][rows]) for name in OF_THE_BASE}
        body, shaped = loaded(self._base, values), is_shaped(values).numpy()
        check_mass(body)
        base = np.tile(self._nominal_base, (len(rows), 1))
        base[:, 0], base[:, 1:4] = body.mass.numpy(), body.com.numpy()
        if shaped.any():
            base[shaped, 4:] = torch.cat(principal(body.inertia), dim=1).numpy()[shaped]
        self._batch.base[rows] = base

    def state_dict(self) -> dict[str, Any]:
        return {
            "state": torch.from_numpy(self._state.copy()),
            "parameters": {name: torch.from_numpy(v.copy()) for name, v in self._batch.parameters.items()},
            "diverged": self.diverged.clone(),
            "fields": {name: value.clone() for name, value in vars(self.state).items()},
            "trace": {name: value.clone() for name, value in vars(self.trace).items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._state[:] = state["state"].numpy()
        self.set_parameters(torch.arange(self.num_envs), state["parameters"])
        self.diverged = state["diverged"].clone()
        self.state = EngineState(**{name: value.clone() for name, value in state["fields"].items()})
        self.trace = Trace(**{name: value.clone() for name, value in state["trace"].items()})

    def close(self) -> None:
        self._worlds.close()


def capabilities(robot: Robot) -> Capabilities:
    """What the engine can do with a robot, told without building it."""
    return _capabilities(robot, read_tree(robot))


def _capabilities(robot: Robot, tree: RobotTree) -> Capabilities:
    return Capabilities(parameters(robot, tree), trains=False, limits=_LIMITS)
