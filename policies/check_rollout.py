"""A deployed artefact in simulation: each environment follows one command for one episode, all recorded."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contract.errors import BundleError, UsageError
from contract.policy_contract import Contract
from deploy_robot.onnx_policy import OnnxPolicy
from sim.env import VecEnv

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Rollout:
    """T control steps of N environments with J joints, as they really were, not as sensors saw them.

    Rows of an environment that has fallen hold numbers without meaning: `alive` says which rows count.

    Attributes:
        period: control period, s.
        alive: (T, N) the environment has not fallen yet, this step included.
        diverged: (N,) it fell because the physics diverged.
        command: (N, C) in the units of the command signal.
        base_lin_vel: (T, N, 3) m/s, base frame.
        base_ang_vel: (T, N, 3) rad/s, base frame.
        root_pos: (T, N, 3) m, world. root_quat: (T, N, 4) w, x, y, z, world_from_base.
        joint_pos, joint_vel, joint_torque: (T, N, J) rad, rad/s, N m, at the end of each step.
        joint_target: (T, N, J) rad, what the policy asked for in that step.
        draws: the randomised parameters of each episode, (N, size) each.
    """

    period: float
    alive: NDArray[np.bool_]
    diverged: NDArray[np.bool_]
    command: Array
    base_lin_vel: Array
    base_ang_vel: Array
    root_pos: Array
    root_quat: Array
    joint_pos: Array
    joint_vel: Array
    joint_torque: Array
    joint_target: Array
    draws: dict[str, Array]

    @property
    def fell(self) -> NDArray[np.bool_]:
        """(N,) the environment fell at some time."""
        return ~self.alive[-1]

    @property
    def time(self) -> NDArray[np.float64]:
        """(T,) s since the start, at the end of each step."""
        return np.arange(1, len(self.alive) + 1) * np.float64(self.period)


def roll_out(
    policy: OnnxPolicy, env: VecEnv, commands: Array, seconds: float, progress: Progress | None = None
) -> Rollout:
    """Run `policy` in every environment for `seconds` under `commands` (N, C).

    Args:
        policy: of batch N; its memory is cleared first.
        env: with `auto_reset=False`, so that an episode that ends stays ended.
        progress: called with (steps done, steps in all).

    Raises:
        UsageError: policy, environment and commands differ in number, or the environment resets by itself.
        BundleError: the policy was made for another robot, control period, gain or signal than this one.
    """
    if env.auto_reset:
        raise UsageError("roll_out: the environment must be made with auto_reset=False")
    if not policy.batch == env.num_envs == len(commands):
        raise UsageError(f"roll_out: {policy.batch} policies, {env.num_envs} environments and {len(commands)} commands")
    check_fits(policy.contract, env)
    names = [signal.name for signal in policy.contract.inputs]
    env.commands.fix(torch.as_tensor(commands, dtype=torch.float32))
    env.reset()
    policy.reset()
    steps = round(seconds / env.control_period)
    alive = np.ones(env.num_envs, bool)
    diverged = np.zeros(env.num_envs, bool)
    record: dict[str, list[Array]] = {name: [] for name in _RECORDED}
    alive_rows = []
    for step in range(steps):
        target = policy.step({name: env.signals[name].numpy() for name in names})
        result = env.step(torch.from_numpy(target.astype(np.float32)))
        diverged |= alive & result.diverged.numpy()
        alive = alive & ~result.terminated.numpy()
        alive_rows.append(alive)
        state = env.state
        record["base_lin_vel"].append(env.base_lin_vel.numpy().copy())
        record["base_ang_vel"].append(state.root_ang_vel.numpy().copy())
        for name in ("root_pos", "root_quat", "joint_pos", "joint_vel", "joint_torque"):
            record[name].append(getattr(state, name).numpy().copy())
        record["joint_target"].append(target.astype(np.float32))
        if progress is not None:
            progress(step + 1, steps)
    return Rollout(
        period=env.control_period,
        alive=np.stack(alive_rows),
        diverged=diverged,
        command=np.asarray(commands, np.float32),
        draws={name: values.numpy().copy() for name, values in env.draws.items()},
        **{name: np.stack(rows) for name, rows in record.items()},
    )


_RECORDED = (
    "base_lin_vel",
    "base_ang_vel",
    "root_pos",
    "root_quat",
    "joint_pos",
    "joint_vel",
    "joint_torque",
    "joint_target",
)


def check_fits(contract: Contract, env: VecEnv) -> None:
    """BundleError naming the first field in which the contract and the environment's robot differ."""
    robot = env.robot
    for field, promised, simulated in (
        ("robot", contract.robot, robot.name),
        ("control_period", contract.control_period, env.control_period),
        ("joint_names", contract.joint_names, robot.joint_names),
        ("kp", contract.kp, tuple(robot.kp.tolist())),
        ("kd", contract.kd, tuple(robot.kd.tolist())),
    ):
        if promised != simulated:
            raise BundleError(
                f"contract.json: {field}: made for {promised}, and task {env.task.name} simulates {simulated}"
            )
    for signal in contract.inputs:
        if signal.name not in env.signals:
            raise BundleError(f"contract.json: inputs: task {env.task.name} gives no signal {signal.name!r}")
