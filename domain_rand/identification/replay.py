"""The windows of a log in simulation: many candidates of the parameters at once, as environments of one batch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.errors import UsageError
from contract.robot import Robot
from domain_rand.identification.log import MotionLog
from domain_rand.identification.unknowns import DELAYS
from domain_rand.identification.windows import Windows
from sim import engines
from sim.engines.engine import Engine
from sim.rotations import projected_gravity, quat_from_vector, quat_multiply, quat_rotate, quat_rotate_inverse

Array = NDArray[np.float64]

_DECIMATION = 4  # physics steps an engine's call
_STANCE = 0.01  # m, a foot that is at most so much higher than the lowest one stands
_STEP = 0.005  # s, of the difference that gives the base's velocity


@dataclass(frozen=True)
class Setting:
    """How a log is simulated.

    Attributes:
        engine: name of a physics engine that has the parameters.
        physics_dt: s, physics step; that of training, so that what it finds is right there.
        batch: environments.
        threads: physics threads, all cores if None.
    """

    engine: str = "mujoco_cpu"
    physics_dt: float = 0.005
    batch: int = 256
    threads: int | None = None


class Replay:
    """Simulates windows of a log from their beginnings under the targets of the log.

    What it gives are readings of joint positions, joint velocities and, of a robot whose base is free, of gyro and
    direction of gravity, one after another: D numbers a sample.

    Args:
        robot: whose base is free or fixed as the real one's was.
        log, windows: what is simulated.
        setting: how.

    Attributes:
        parameters: of the engine.
        shifts: how a window's beginning may be shifted: names of Q coordinates.
        signals: which columns of the D each signal has.

    Raises:
        UsageError: a free base, and no IMU or feet to tell how it moves.
    """

    def __init__(self, robot: Robot, log: MotionLog, windows: Windows, setting: Setting) -> None:
        if log.joint_pos.shape[1] != robot.num_joints:
            raise UsageError(f"{log.name}: of {log.joint_pos.shape[1]} joints, and {robot.name} has {robot.num_joints}")
        if not robot.fixed_base and (windows.quat is None or not robot.feet):
            raise UsageError(f"{log.name}: a base that moves freely needs an IMU and feet; say --base fixed if it hung")
        self._robot, self._log, self._windows = robot, log, windows
        self._dt = setting.physics_dt
        self._calls = math.ceil(windows.offset.max() / self._dt / _DECIMATION)
        self._engine = engines.make(
            setting.engine,
            robot,
            num_envs=setting.batch,
            physics_dt=self._dt,
            decimation=_DECIMATION,
            threads=setting.threads,
        )
        self.parameters = self._engine.capabilities.parameters
        self._everyone = torch.arange(setting.batch, device=self._engine.device)
        self._mount = torch.tensor(robot.base_from_imu)
        joints = robot.num_joints
        self.signals = {"joint_pos": slice(0, joints), "joint_vel": slice(joints, 2 * joints)}
        self.shifts = ("joint_pos",) * joints + ("joint_vel",) * joints
        if not robot.fixed_base:
            self.signals |= {"gyro": slice(2 * joints, 2 * joints + 3), "tilt": slice(2 * joints + 3, 2 * joints + 6)}
            self.shifts += ("height", *("lin_vel",) * 3, *("turn",) * 3, *("ang_vel",) * 3)
        self._begin = self._beginnings()

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()

    @property
    def num_windows(self) -> int:
        """S, of the whole log."""
        return len(self._windows.start)

    def measured(self) -> Array:
        """(S, M, D) what the sensors read."""
        log, rows = self._log, self._windows.rows
        parts = [log.joint_pos[rows], log.joint_vel[rows]]
        if not self._robot.fixed_base:
            assert log.gyro is not None and log.imu_quat is not None
            quat = torch.from_numpy(log.imu_quat[rows])
            parts += [log.gyro[rows], projected_gravity(quat).numpy()]
        return np.concatenate(parts, axis=2)

    def predict(self, values: Mapping[str, Array], windows: NDArray[np.int64], shift: Array | None = None) -> Array:
        """What they would have read, (C, S, M, D); NaN where the simulation diverges.

        Args:
            values: of parameters and delays, (C, size) each.
            windows: (S,) which ones.
            shift: (C, Q) of the beginnings of all windows.
        """
        count = len(next(iter(values.values())))
        candidate, window = (part.ravel() for part in np.indices((count, len(windows))))
        window = windows[window]
        shift = np.zeros((count, len(self.shifts))) if shift is None else shift
        batch = len(self._everyone)
        parts = []
        for first in range(0, len(candidate), batch):
            these = slice(first, first + batch)
            filled = np.resize(candidate[these], batch), np.resize(window[these], batch)
            parts.append(self._batch(values, *filled, shift)[: len(candidate[these])])
        readings = np.concatenate(parts)
        return readings.reshape(count, len(windows), *readings.shape[1:])

    def _batch(
        self, values: Mapping[str, Array], candidate: NDArray[np.int64], window: NDArray[np.int64], shift: Array
    ) -> Array:
        engine = self._engine
        physical = {name: value for name, value in values.items() if name not in DELAYS}
        if physical:
            engine.set_parameters(self._everyone, {n: _tensor(v[candidate], engine) for n, v in physical.items()})
        engine.reset(self._everyone, **self._state(window, shift[candidate]))
        # Both delays move the motion by as much against the targets.
        late = sum((values[name][candidate, 0] for name in DELAYS if name in values), np.zeros(len(candidate)))
        start = self._windows.start[window] - late
        traces = [self._at_once()]
        diverged = np.zeros(len(candidate), bool)
        for call in range(self._calls):
            steps = self._dt * (call * _DECIMATION + np.arange(_DECIMATION))
            engine.step(_tensor(self._log.targets_at(start[:, None] + steps, self._dt), engine))
            traces.append(self._readings())
            diverged |= engine.diverged.cpu().numpy()
        readings = np.concatenate(traces, axis=1)
        readings[diverged] = np.nan
        place = self._windows.offset[window] / self._dt
        below = np.minimum(np.floor(place).astype(np.int64), readings.shape[1] - 2)
        share = (place - below)[:, :, None]
        rows = np.arange(len(candidate))[:, None]
        return np.asarray((1.0 - share) * readings[rows, below] + share * readings[rows, below + 1])

    def _readings(self) -> Array:
        trace = self._engine.trace
        return self._as_read(trace.joint_pos, trace.joint_vel, trace.root_quat, trace.root_ang_vel)

    def _at_once(self) -> Array:
        """(N, 1, D) after a reset."""
        state = self._engine.state
        parts = (state.joint_pos, state.joint_vel, state.root_quat, state.root_ang_vel)
        return self._as_read(*(part[:, None] for part in parts))

    def _as_read(self, joint_pos: Tensor, joint_vel: Tensor, quat: Tensor, ang_vel: Tensor) -> Array:
        parts = [joint_pos, joint_vel]
        if not self._robot.fixed_base:
            mount = self._mount.to(quat.device).expand_as(quat)
            parts += [quat_rotate_inverse(mount, ang_vel), projected_gravity(quat_multiply(quat, mount))]
        return torch.cat(parts, dim=2).double().cpu().numpy()

    # -- beginnings -------------------------------------------------------------------------------------------

    def _beginnings(self) -> dict[str, Tensor]:
        """State at the beginning of each window, as `Engine.reset` takes it."""
        windows = self._windows
        count = len(windows.start)
        joints = {"joint_pos": _float(windows.joint_pos), "joint_vel": _float(windows.joint_vel)}
        still = torch.zeros(count, 3)
        upright = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1)
        rest = {"root_pos": still, "root_quat": upright, "root_lin_vel": still, "root_ang_vel": still}
        if self._robot.fixed_base:
            return {**rest, **joints}
        assert windows.quat is not None and windows.gyro is not None
        mount = self._mount.expand(count, 4)
        quat = quat_multiply(_float(windows.quat), mount * torch.tensor([1.0, -1.0, -1.0, -1.0]))
        ang_vel = quat_rotate(mount, _float(windows.gyro))
        # Feet that stand do not move, so the base does what they seem to do from it, the other way round.
        acc = _float(windows.joint_acc)
        sides = []
        for time in (-_STEP, 0.0, _STEP):
            pos = joints["joint_pos"] + time * joints["joint_vel"] + 0.5 * time**2 * acc
            sides.append(self._feet({**rest, **joints, "joint_pos": pos}, _turned(quat, time * ang_vel)))
        before, now, after = sides
        stance = (now[..., 2:] < now[..., 2].amin(dim=1)[:, None, None] + _STANCE).float()
        feet = stance.sum(dim=1)
        lin_vel = -(stance * (after - before)).sum(dim=1) / feet / (2.0 * _STEP)
        radius = torch.tensor([foot.radius for foot in self._robot.feet])[:, None]
        height = (stance * (radius - now[..., 2:])).sum(dim=1) / feet
        root_pos = torch.cat([torch.zeros(count, 2), height], dim=1)
        return {"root_pos": root_pos, "root_quat": quat, "root_lin_vel": lin_vel, "root_ang_vel": ang_vel, **joints}

    def _feet(self, state: dict[str, Tensor], quat: Tensor) -> Tensor:
        """(S, F, 3) m, feet from the base, in axes of the world."""
        batch, parts = len(self._everyone), []
        for first in range(0, len(quat), batch):
            ids = torch.arange(min(batch, len(quat) - first))
            rows = {name: value[first : first + batch] for name, value in {**state, "root_quat": quat}.items()}
            self._engine.reset(ids.to(self._engine.device), **{n: v.to(self._engine.device) for n, v in rows.items()})
            parts.append(self._engine.state.foot_pos[: len(ids)].cpu())
        return torch.cat(parts)

    def _state(self, window: NDArray[np.int64], shift: Array) -> dict[str, Tensor]:
        state = {name: value[torch.from_numpy(window)] for name, value in self._begin.items()}
        moved, joints = _float(shift), self._robot.num_joints
        state["joint_pos"] = state["joint_pos"] + moved[:, :joints]
        state["joint_vel"] = state["joint_vel"] + moved[:, joints : 2 * joints]
        if not self._robot.fixed_base:
            height, lin_vel, turn, ang_vel = moved[:, 2 * joints :].split((1, 3, 3, 3), dim=1)
            state["root_pos"] = torch.cat([state["root_pos"][:, :2], state["root_pos"][:, 2:] + height], dim=1)
            state["root_lin_vel"] = state["root_lin_vel"] + lin_vel
            state["root_quat"] = _turned(state["root_quat"], turn)
            state["root_ang_vel"] = state["root_ang_vel"] + ang_vel
        return {name: value.to(self._engine.device) for name, value in state.items()}


def _turned(quat: Tensor, vector: Tensor) -> Tensor:
    return quat_multiply(quat, quat_from_vector(vector))


def _float(values: Array) -> Tensor:
    return torch.from_numpy(values).float()


def _tensor(values: Array, engine: Engine) -> Tensor:
    return _float(values).to(engine.device)
