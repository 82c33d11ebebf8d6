"""A deployed artefact in simulation: each environment follows one command for one episode, all recorded."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.errors import BundleError, UsageError
from contract.policy_contract import Contract
from deploy_robot.onnx_policy import OnnxPolicy
from policies.check_monitors import EpisodeTrips
from sim.env import VecEnv
from sim.rollout import Rollout, robot_mass

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]


def roll_out(
    policy: OnnxPolicy,
    env: VecEnv,
    commands: Array,
    seconds: float,
    progress: Progress | None = None,
    trips: EpisodeTrips | None = None,
) -> Rollout:
    """Run `policy` in every environment for `seconds` under `commands` (N, C).

    Args:
        policy: of batch N; its memory is cleared first.
        env: with `auto_reset=False`, so that an episode that ends stays ended.
        progress: called with (steps done, steps in all).
        trips: counts what the supervisor would have done.

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
    env.commands.fix(torch.as_tensor(commands, dtype=torch.float32, device=env.device))
    env.reset()
    policy.reset()
    steps = round(seconds / env.control_period)
    alive = np.ones(env.num_envs, bool)
    diverged = np.zeros(env.num_envs, bool)
    record: dict[str, list[Array]] = {name: [] for name in _RECORDED}
    alive_rows = []
    for step in range(steps):
        target = policy.step({name: env.signals[name].cpu().numpy() for name in names})
        result = env.step(torch.from_numpy(target.astype(np.float32)).to(env.device))
        diverged |= alive & result.diverged.cpu().numpy()
        alive = alive & ~result.terminated.cpu().numpy()
        alive_rows.append(alive)
        if trips is not None:
            trips.step(alive, diverged)
        state = env.state
        record["base_lin_vel"].append(_copy(env.base_lin_vel))
        record["base_ang_vel"].append(_copy(state.root_ang_vel))
        for name in ("root_pos", "root_quat", "joint_pos", "joint_vel", "joint_torque"):
            record[name].append(_copy(getattr(state, name)))
        record["joint_target"].append(target.astype(np.float32))
        if progress is not None:
            progress(step + 1, steps)
    draws = {name: _copy(values) for name, values in env.draws.items()}
    payload = draws["payload_mass"][:, 0] if "payload_mass" in draws else np.zeros(env.num_envs)
    return Rollout(
        period=env.control_period,
        alive=np.stack(alive_rows),
        diverged=diverged,
        command=np.asarray(commands, np.float32),
        mass=robot_mass(env.robot) + payload.astype(np.float64),
        draws=draws,
        **{name: np.stack(rows) for name, rows in record.items()},
    )


def _copy(values: Tensor) -> Array:
    return values.cpu().numpy().copy()


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
