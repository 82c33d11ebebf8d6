"""Engines that are wrong, each in one way, to see that the laws of `sim.conformance` find it."""

import numpy as np
import torch

from sim.engines.engine import Capabilities, Trace
from sim.engines.mujoco_cpu import MujocoCpuEngine
from sim.engines.parameters import RESTITUTION
from sim.rotations import quat_rotate, quat_rotate_inverse
from sim.terrains import Rough
from sim.terrains.shapes import Ground, HeightFieldShape


class ScalarLast(MujocoCpuEngine):
    """Quaternions are (x, y, z, w), in and out."""

    def reset(self, ids, root_pos, root_quat, **rest):
        super().reset(ids, root_pos, root_quat.roll(1, dims=1), **rest)
        self._convert()

    def step(self, targets):
        super().step(targets)
        self._convert()

    def _convert(self):
        self.state.root_quat = self.state.root_quat.roll(-1, dims=1)


class SpinInTheWorld(MujocoCpuEngine):
    """Angular velocity is in the world, in and out."""

    def reset(self, ids, root_pos, root_quat, root_lin_vel, root_ang_vel, **rest):
        in_base = quat_rotate_inverse(root_quat, root_ang_vel)
        super().reset(ids, root_pos, root_quat, root_lin_vel, in_base, **rest)
        self.state.root_ang_vel[ids] = root_ang_vel

    def step(self, targets):
        super().step(targets)
        self.state.root_ang_vel = quat_rotate(self.state.root_quat, self.state.root_ang_vel)


class CentreOfMass(MujocoCpuEngine):
    """The root is the centre of mass, in and out."""

    _CENTRE = torch.tensor([0.019, 0.0, 0.0])

    def reset(self, ids, root_pos, root_quat, **rest):
        super().reset(ids, root_pos - quat_rotate(root_quat, self._CENTRE.expand_as(root_pos)), root_quat, **rest)

    def step(self, targets):
        super().step(targets)
        offset = quat_rotate(self.state.root_quat, self._CENTRE.expand(self.num_envs, 3))
        self.state.root_pos = self.state.root_pos + offset


class VelocityInTheBase(MujocoCpuEngine):
    """Pushes come in the frame of the base."""

    def push(self, ids, lin_vel, ang_vel):
        super().push(ids, quat_rotate(self.state.root_quat[ids], lin_vel), ang_vel)


class BreadthFirst(MujocoCpuEngine):
    """The joints of a two-armed robot come breadth first, in and out."""

    _ORDER = torch.tensor([0, 2, 1, 3])

    def reset(self, ids, root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos, joint_vel):
        order = self._ORDER
        super().reset(ids, root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos[:, order], joint_vel[:, order])
        self.state.joint_pos[ids], self.state.joint_vel[ids] = joint_pos, joint_vel

    def step(self, targets):
        super().step(targets[..., self._ORDER])
        self.state.joint_pos = self.state.joint_pos[:, self._ORDER]
        self.state.joint_vel = self.state.joint_vel[:, self._ORDER]


class Spoilt(MujocoCpuEngine):
    """Something in its models is wrong."""

    def step(self, targets):
        for model in self._models:
            self.spoil(model)
        super().step(targets)


class NoEffortLimit(Spoilt):
    def spoil(self, model):
        model.actuator_forcelimited[:] = 0


class Damped(Spoilt):
    """As by Bullet's default: velocities decay by 4 % a second."""

    def spoil(self, model):
        model.dof_damping[:] = 0.04 * model.dof_M0


class Braked(Spoilt):
    """As by Bullet's default: a motor holds each joint that nobody drives."""

    def spoil(self, model):
        model.dof_frictionloss[:] = 0.01


class SoftServo(Spoilt):
    def spoil(self, model):
        model.actuator_gainprm[:, 0] = 0.97 * self.robot.kp
        model.actuator_biasprm[:, 1] = -0.97 * self.robot.kp


class WeakGravity(Spoilt):
    def spoil(self, model):
        model.opt.gravity[2] = -9.7


class SelfCollision(Spoilt):
    def spoil(self, model):
        for field in ("geom_contype", "geom_conaffinity", "body_contype", "body_conaffinity"):
            getattr(model, field)[:] = 1


class NoStops(Spoilt):
    def spoil(self, model):
        model.jnt_limited[:] = 0


class SlipperyFloor(Spoilt):
    """Friction of a contact is some mean of robot and ground."""

    def spoil(self, model):
        geoms = self._parameters._geoms
        model.geom_friction[geoms, 0] = 0.5 * self._built.model.geom_friction[geoms, 0]


class Sunk(MujocoCpuEngine):
    """Robots are 2 mm lower than asked for, as where ground is higher."""

    def reset(self, ids, root_pos, **rest):
        super().reset(ids, root_pos - torch.tensor([0.0, 0.0, 0.002]), **rest)


class OneTarget(MujocoCpuEngine):
    """A control step has one target."""

    def step(self, targets):
        super().step(targets[:, :1].expand_as(targets))


class LateTrace(MujocoCpuEngine):
    """The trace is a physics step late."""

    def step(self, targets):
        before = {name: value[:, -1:] for name, value in vars(self.trace).items()}
        super().step(targets)
        self.trace = Trace(**{n: torch.cat([before[n], v[:, :-1]], dim=1) for n, v in vars(self.trace).items()})


class StaleFeet(MujocoCpuEngine):
    def step(self, targets):
        before = self.state.foot_vel
        super().step(targets)
        self.state.foot_vel = before


class TorqueAsked(MujocoCpuEngine):
    """The torque is that which was asked for, not that which was given."""

    def step(self, targets):
        super().step(targets)
        kp, kd = (torch.from_numpy(gain).float() for gain in (self.robot.kp, self.robot.kd))
        self.state.joint_torque = kp * (targets[:, -1] - self.state.joint_pos) - kd * self.state.joint_vel


class SwappedContacts(MujocoCpuEngine):
    def step(self, targets):
        super().step(targets)
        self.state.contact_force = self.state.contact_force.flip(1)


class HalfTheContacts(MujocoCpuEngine):
    def step(self, targets):
        super().step(targets)
        self.state.contact_force = 0.5 * self.state.contact_force


class WanderingBase(MujocoCpuEngine):
    """A fixed base goes where a reset puts it."""

    def reset(self, ids, root_pos, **rest):
        super().reset(ids, root_pos, **rest)
        self._moved = root_pos

    def step(self, targets):
        super().step(targets)
        self.state.root_pos = self._moved


class EveryoneIsReset(MujocoCpuEngine):
    def reset(self, ids, **fields):
        everyone = torch.arange(self.num_envs)
        super().reset(everyone, **{name: value[:1].expand(self.num_envs, -1) for name, value in fields.items()})


class EveryoneIsPushed(MujocoCpuEngine):
    def push(self, ids, lin_vel, ang_vel):
        everyone = torch.arange(self.num_envs)
        super().push(everyone, lin_vel[:1].expand(self.num_envs, 3), ang_vel[:1].expand(self.num_envs, 3))


class EveryoneIsSet(MujocoCpuEngine):
    def set_parameters(self, ids, values):
        everyone = torch.arange(self.num_envs)
        super().set_parameters(everyone, {n: v[:1].expand(self.num_envs, -1) for n, v in values.items()})


class EveryoneDiverges(MujocoCpuEngine):
    def step(self, targets):
        super().step(targets + 0.0 * targets.sum())


class NeverDiverges(MujocoCpuEngine):
    def step(self, targets):
        super().step(targets)
        self.diverged = torch.zeros_like(self.diverged)


class Poisoned(MujocoCpuEngine):
    """What diverged shows NaN."""

    def step(self, targets):
        super().step(targets)
        self.state.joint_pos[self.diverged] = torch.nan


class NotANumber(MujocoCpuEngine):
    def step(self, targets):
        super().step(targets)
        for fields in (self.state, self.trace):
            for name, value in vars(fields).items():
                setattr(fields, name, torch.full_like(value, torch.nan))


class Modest(MujocoCpuEngine):
    """Says that it lacks some things."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        known = {name: value for name, value in self.capabilities.parameters.items() if name != "friction"}
        self.capabilities = Capabilities(known, terrains=("Flat", "Slope"), contact_force=False)


class Crashing(MujocoCpuEngine):
    def step(self, targets):
        raise RuntimeError("the solver gave up")


class Unrepeatable(MujocoCpuEngine):
    """Each step is its own, as where threads race."""

    _noise = torch.Generator().manual_seed(0)

    def step(self, targets):
        super().step(targets + 1e-6 * torch.randn(1, generator=self._noise))


class Remembers(MujocoCpuEngine):
    """Solver state of the steps before lives on."""

    _last = 0.0

    def step(self, targets):
        super().step(targets + 1e-5 * self._last)
        self._last = self.state.joint_vel[:, None].clone()


class ForgetsParameters(MujocoCpuEngine):
    def load_state_dict(self, state):
        super().load_state_dict({**state, "parameters": {}})


class Permissive(MujocoCpuEngine):
    """What it does not know it ignores."""

    def set_parameters(self, ids, values):
        super().set_parameters(ids, {name: value for name, value in values.items() if name in self._values})


class DoublePrecision(MujocoCpuEngine):
    def step(self, targets):
        super().step(targets)
        self.state.contact_force = self.state.contact_force.double()


class OtherDiagonals:
    """A height field whose cells are split along the other diagonal: twice as fine, with the new points on that."""

    def __init__(self, terrain):
        self._field = terrain.ground().fields[0]

    def ground(self):
        coarse = self._field.heights
        rows, columns = coarse.shape
        fine = np.zeros((2 * rows - 1, 2 * columns - 1))
        fine[::2, ::2] = coarse
        fine[1::2, ::2] = 0.5 * (coarse[1:] + coarse[:-1])
        fine[::2, 1::2] = 0.5 * (coarse[:, 1:] + coarse[:, :-1])
        fine[1::2, 1::2] = 0.5 * (coarse[1:, :-1] + coarse[:-1, 1:])
        return Ground(fields=(HeightFieldShape(fine, 0.5 * self._field.spacing, self._field.origin),))


class WrongDiagonals(MujocoCpuEngine):
    def __init__(self, *args, terrain, **settings):
        super().__init__(*args, terrain=OtherDiagonals(terrain) if isinstance(terrain, Rough) else terrain, **settings)


def ignoring(parameter: str) -> type[MujocoCpuEngine]:
    class Ignores(MujocoCpuEngine):
        def set_parameters(self, ids, values):
            super().set_parameters(ids, {name: value for name, value in values.items() if name != parameter})

    return Ignores


def also_setting(parameter: str, other: str, factor: float) -> type[MujocoCpuEngine]:
    """A parameter changes another, too."""

    class AlsoSets(MujocoCpuEngine):
        def set_parameters(self, ids, values):
            super().set_parameters(ids, values)
            if parameter in values:
                size = self.capabilities.parameters[other].size
                offset = values[parameter][:, :1] - torch.tensor(self.capabilities.parameters[parameter].nominal)
                nominal = torch.tensor(self.capabilities.parameters[other].nominal)
                super().set_parameters(ids, {other: (nominal + factor * offset).expand(-1, size)})

    return AlsoSets


class Dead(MujocoCpuEngine):
    """Says that its contacts bounce, and they do not."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        known = {**self.capabilities.parameters, "restitution": RESTITUTION}
        self.capabilities = Capabilities(known)
        self._values["restitution"] = np.zeros((self.num_envs, 1))
