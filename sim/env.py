"""The vectorised environment: an engine, a task, sensors, and whoever randomises them.

One control step: what is randomised within episodes is drawn where it is time, the joint target makes its way to the
motors, the engine advances, pushes strike, rewards and terminations are computed from the true state, finished episodes
begin anew, and the sensors report.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

import contract.robots
from contract.errors import UsageError
from sim import engines
from sim.actuation import Actuation
from sim.commands import CommandSource
from sim.disturbances import Disturbances
from sim.engines.engine import Engine, EngineState
from sim.episode import Episode, StepResult
from sim.initial_state import StartModel
from sim.randomiser import Randomiser
from sim.rotations import projected_gravity, quat_rotate_inverse
from sim.sensors import SensorModel
from sim.stage import Stage
from sim.tasks.task import Task

CONTACT_FORCE = 1.0  # N, above which a geom counts as touching


class VecEnv:
    """`num_envs` copies of a task.

    Args:
        task: what to do.
        num_envs: copies.
        engine: name of a physics engine.
        randomiser: draws the parameters of each episode; none leaves every parameter at its nominal value.
        seed: of initial states, commands, noise and pushes.
        threads: physics threads, all cores if None.
        device: where all tensors live, as `sim.engines.make` takes it.
        auto_reset: begin a finished episode anew at once. Without it a finished environment idles on.

    Attributes:
        signals: what the sensors report now, each (N, ...); the actor reads nothing else.
        state: the engine's true state.
        joint_target: targets of this step, and `last_joint_target` of the one before, (N, J) rad.
        base_lin_vel: (N, 3) m/s in the base frame. gravity: (N, 3) unit vector in the base frame.
        clock: (N,) s since the episode began.
        foot_contact: (N, F) bool. air_time: (N, F) s since each foot left the ground, as of before this step.
        stages: the parts between policy and physics that have parameters of their own, by name.
        draws: parameters that are randomised, as they are now, each (N, size).
        finished: episodes that have ended; whoever reads it empties it.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int,
        *,
        engine: str = "mujoco_cpu",
        randomiser: Randomiser | None = None,
        seed: int = 0,
        threads: int | None = None,
        device: str = "auto",
        auto_reset: bool = True,
    ) -> None:
        if num_envs < 1:
            raise UsageError(f"num_envs must be at least 1, got {num_envs}")
        self.task = task
        self.robot = contract.robots.load(task.robot)
        self.num_envs = num_envs
        self.control_period = task.control_period
        self.auto_reset = auto_reset
        self.max_steps = round(task.episode_seconds / task.control_period)
        self.engine: Engine = engines.make(
            engine,
            self.robot,
            num_envs=num_envs,
            physics_dt=task.physics_dt,
            decimation=task.decimation,
            threads=threads,
            terrain=task.terrain,
            device=device,
        )
        self.device = on = self.engine.device
        self._generator = torch.Generator(on).manual_seed(seed)
        self.sensors = SensorModel(self.robot, num_envs, task.physics_dt, task.decimation, self._generator)
        self.commands = CommandSource(task.command, num_envs, task.control_period, self._generator)
        self.actuation = Actuation(
            self.robot, num_envs, task.control_period, task.physics_dt, task.decimation, self._generator
        )
        self.disturbances = Disturbances(num_envs, task.control_period, self._generator)
        self.start = StartModel(self.robot, num_envs, task.terrain, task.initial, self._generator)
        self.stages: dict[str, Stage] = {
            "sensors": self.sensors,
            "actuation": self.actuation,
            "disturbances": self.disturbances,
            "start": self.start,
        }
        self.parameters = dict(self.engine.capabilities.parameters)
        for stage in self.stages.values():
            self.parameters |= stage.parameters
        self._randomiser = randomiser
        if randomiser is not None:
            randomiser.bind(self.parameters)
        self.draws: dict[str, Tensor] = {}
        self.finished: list[Episode] = []

        joints, feet = self.robot.num_joints, len(self.robot.feet)

        def constant(values: Any) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=on)

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(num_envs, *shape, dtype=dtype, device=on)

        self.default_joint_pos = constant(self.robot.default_joint_pos)
        self.joint_limits = constant(self.robot.joint_lower), constant(self.robot.joint_upper)
        self._everyone = torch.arange(num_envs, device=on)
        self.episode_index = zeros(dtype=torch.long) - 1
        self.episode_step = zeros(dtype=torch.long)
        self._episode_start = zeros(dtype=torch.long)
        self.episode_return = zeros()
        self.clock = zeros()
        self.total_steps = 0
        self.joint_target = self.default_joint_pos.repeat(num_envs, 1)
        self.last_joint_target = self.joint_target.clone()
        self.last_joint_vel = zeros(joints)
        self.air_time = zeros(feet)
        self.foot_contact = zeros(feet, dtype=torch.bool)
        self.signals: dict[str, Tensor] = {}
        self.reset()
        self.critic_parts = [(term.mirror, term.function(self).shape[1]) for term in task.critic]
        self.critic_dim = sum(size for _, size in self.critic_parts)

    @property
    def command(self) -> Tensor:
        """(N, C) command now."""
        return self.commands.value

    @property
    def state(self) -> EngineState:
        """The engine's true state."""
        return self.engine.state

    def parameter(self, name: str) -> Tensor:
        """(N, size) value of a parameter now."""
        if name in self.draws:
            return self.draws[name]
        parameter = self.parameters[name]
        nominal = torch.as_tensor(parameter.nominal, dtype=torch.float32, device=self.device)
        return nominal.expand(self.num_envs, parameter.size)

    def critic_obs(self, ids: Tensor | None = None) -> Tensor:
        """The critic's privileged observation of `ids`, or of all, (n, critic_dim)."""
        observation = torch.cat([term.function(self) for term in self.task.critic], dim=1)
        return observation if ids is None else observation[ids]

    def reset(self) -> None:
        """Begin a new episode everywhere, at scattered points of the episode clock so that time-outs do not align."""
        self._reset(self._everyone)
        if self.auto_reset:
            self.episode_step = torch.randint(
                0, self.max_steps, (self.num_envs,), generator=self._generator, device=self.device
            )
            self._episode_start = self.episode_step.clone()
        self._observe()

    def step(self, joint_target: Tensor) -> StepResult:
        """Advance one control period under joint targets (N, J) in rad."""
        task, engine = self.task, self.engine
        self.last_joint_target, self.joint_target = self.joint_target, joint_target.clone()
        self.last_joint_vel = engine.state.joint_vel
        if self._randomiser is not None and self._randomiser.changes_within_episodes:
            self._change(self._randomiser)
        offset = self.sensors.values["encoder_offset"]
        engine.step(self.actuation.targets(self.joint_target, self.last_joint_target, offset, engine.state.joint_pos))
        diverged = engine.diverged.clone()
        self.joint_target[diverged] = self.last_joint_target[diverged]  # it may be what is not finite
        self.sensors.record(engine.trace, self.actuation.slack)
        self.episode_step += 1
        self.clock += self.control_period
        self.total_steps += self.num_envs
        self.disturbances.push(engine)
        self._derive()

        terminated = diverged.clone()
        for termination in task.terminations:
            terminated |= termination.function(self)
        truncated = (self.episode_step >= self.max_steps) & ~terminated
        terms, reward = self._rewards(diverged)
        self.episode_return += reward
        self.air_time = torch.where(self.foot_contact, 0.0, self.air_time)
        tracking = task.error.function(self)
        done = terminated | truncated
        ended = truncated.nonzero()[:, 0]
        final = self.critic_obs(ended) if len(ended) else torch.empty(0, self.critic_dim, device=self.device)
        if self.auto_reset and bool(done.any()):
            ids = done.nonzero()[:, 0]
            self._log(ids, terminated, diverged)
            self._reset(ids)
        self.commands.advance()
        self._observe()
        return StepResult(reward, terminated, truncated, done, diverged, final, terms, tracking)

    def penalty_factor(self) -> float:
        """Factor on ramped terms now, from `penalty_start` to 1."""
        task = self.task
        if not task.penalty_ramp:
            return 1.0
        progress = min(1.0, self.total_steps / self.num_envs / task.penalty_ramp)
        return task.penalty_start + (1.0 - task.penalty_start) * progress

    # -- parts of a step --------------------------------------------------------------------------------------

    def _derive(self) -> None:
        self._derive_frames()
        state = self.engine.state
        self.foot_contact = state.contact_force[:, self.engine.foot_columns] > CONTACT_FORCE
        self.air_time = self.air_time + self.control_period

    def _rewards(self, diverged: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        ramp = self.penalty_factor()
        rewards = self.task.rewards
        weights = torch.tensor([term.weight * (ramp if term.ramped else 1.0) for term in rewards], device=self.device)
        values = torch.stack([term.function(self) for term in rewards]) * (self.control_period * weights)[:, None]
        values = values.masked_fill(diverged, 0.0)
        terms = {term.name: value for term, value in zip(rewards, values, strict=True)}
        reward = values.sum(dim=0)
        if self.task.positive_reward:
            reward = reward.clamp(min=0.0)
        return terms, reward

    def _log(self, ids: Tensor, terminated: Tensor, diverged: Tensor) -> None:
        for i in ids.tolist():
            self.finished.append(
                Episode(
                    env=i,
                    episode=int(self.episode_index[i]),
                    steps=int(self.episode_step[i] - self._episode_start[i]),
                    terminated=bool(terminated[i]),
                    diverged=bool(diverged[i]),
                    total_reward=float(self.episode_return[i]),
                )
            )

    def _reset(self, ids: Tensor) -> None:
        self.episode_index[ids] += 1
        self._randomise(ids)
        start = self.start.draw(ids, self.joint_limits)
        self.engine.reset(ids, **vars(start))
        self.sensors.reset(ids, self.engine.trace)
        self.commands.draw(ids)
        self.episode_step[ids] = 0
        self._episode_start[ids] = 0
        self.episode_return[ids] = 0.0
        self.clock[ids] = 0.0
        self.joint_target[ids] = start.joint_pos
        self.last_joint_target[ids] = start.joint_pos
        self.last_joint_vel[ids] = self.engine.state.joint_vel[ids]
        self.air_time[ids] = 0.0
        self.foot_contact[ids] = False
        self._derive_frames()

    def _randomise(self, ids: Tensor) -> None:
        """Draw the parameters of new episodes."""
        if self._randomiser is not None:
            envs, episodes = ids.cpu().numpy(), self.episode_index[ids].cpu().numpy()
            draw = self._randomiser.draw(envs, episodes)
            if episodes.min() > 0:
                draw = {name: value for name, value in draw.items() if name not in self._randomiser.start_up}
            self._apply(ids, draw)
        self.disturbances.reset(ids)
        self.actuation.reset(ids)

    def _change(self, randomiser: Randomiser) -> None:
        """Draw anew what is due in this control step."""
        envs, episodes = self._everyone.cpu().numpy(), self.episode_index.cpu().numpy()
        steps = (self.episode_step - self._episode_start + 1).cpu().numpy()
        for change in randomiser.changes(envs, episodes, steps, self.control_period):
            self._apply(self._everyone[change.rows.to(self.device)], change.values)

    def _apply(self, ids: Tensor, draw: Mapping[str, Tensor]) -> None:
        """Set parameters where they belong."""
        values = {name: value.to(self.device) for name, value in draw.items()}
        for stage in self.stages.values():
            stage.set(ids, values)
        physical = {k: v for k, v in values.items() if k in self.engine.capabilities.parameters}
        if physical:
            self.engine.set_parameters(ids, physical)
        for name, value in values.items():
            if name not in self.draws:
                self.draws[name] = torch.zeros(self.num_envs, value.shape[1], device=self.device)
            self.draws[name][ids] = value

    def _observe(self) -> None:
        self.signals = {**self.sensors.read(), self.task.command.name: self.commands.value.clone()}

    def _derive_frames(self) -> None:
        state = self.engine.state
        self.base_lin_vel = quat_rotate_inverse(state.root_quat, state.root_lin_vel)
        self.gravity = projected_gravity(state.root_quat)

    # -- checkpoints ------------------------------------------------------------------------------------------

    _TENSORS = (
        "episode_index",
        "episode_step",
        "episode_return",
        "clock",
        "joint_target",
        "last_joint_target",
        "last_joint_vel",
        "air_time",
        "foot_contact",
        "base_lin_vel",
        "gravity",
        "_episode_start",
    )

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        return {
            "engine": self.engine.state_dict(),
            "stages": {name: stage.state_dict() for name, stage in self.stages.items()},
            "commands": self.commands.state_dict(),
            "randomiser": self._randomiser.state_dict() if self._randomiser else {},
            "generator": self._generator.get_state(),
            "tensors": {name: getattr(self, name).clone() for name in self._TENSORS},
            "draws": {k: v.clone() for k, v in self.draws.items()},
            "signals": {k: v.clone() for k, v in self.signals.items()},
            "total_steps": self.total_steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`; the environment must have been built alike."""
        saved = state["tensors"]["episode_step"].shape[0]
        if saved != self.num_envs:
            raise UsageError(
                f"the checkpoint holds {saved} environments and this run {self.num_envs}: use --num-envs {saved}"
            )

        def copied(value: Tensor) -> Tensor:
            return value.to(self.device, copy=True)

        self.engine.load_state_dict(state["engine"])
        for name, stage in self.stages.items():
            stage.load_state_dict(state["stages"][name])
        self.commands.load_state_dict(state["commands"])
        if self._randomiser is not None:
            self._randomiser.load_state_dict(state["randomiser"])
        self._generator.set_state(state["generator"])
        for name in self._TENSORS:
            setattr(self, name, copied(state["tensors"][name]))
        self.draws = {k: copied(v) for k, v in state["draws"].items()}
        self.signals = {k: copied(v) for k, v in state["signals"].items()}
        self.total_steps = int(state["total_steps"])

    def close(self) -> None:
        """Release the engine."""
        self.engine.close()
