"""One simulated episode of a bundle, to look at."""

from pathlib import Path

import numpy as np

from contract.bundle import read_bundle
from contract.errors import BundleError, UsageError
from deploy_robot.onnx_policy import OnnxPolicy
from domain_rand.randomiser import EpisodeRandomiser
from policies.check_rollout import roll_out
from policies.evaluation import training_randomisation
from sim import tasks
from sim.env import VecEnv
from sim.rendering import Frames


def showcase(bundle: Path, command: tuple[float, ...], seconds: float, seed: int = 0) -> tuple[str, Frames]:
    """Name of the robot and its motion for `seconds` under one command, randomised as in training.

    Raises:
        UsageError: the command has another length than the task's, or the time is not positive.
        BundleError: the bundle is damaged or does not fit the installed task.
    """
    artefact = read_bundle(bundle)
    try:
        task = tasks.load(artefact.contract.task)
    except UsageError as error:
        raise BundleError(f"contract.json: task: {error}") from None
    if len(command) != len(task.command.elements):
        raise UsageError(f"command: {len(command)} numbers, the task takes {', '.join(task.command.elements)}")
    if not seconds >= task.control_period:
        raise UsageError(f"seconds: must be at least one control period, {task.control_period:g}, got {seconds:g}")
    randomiser = EpisodeRandomiser(training_randomisation(task.name), seed)
    env = VecEnv(task, 1, randomiser=randomiser, seed=seed, threads=0, auto_reset=False)
    try:
        rollout = roll_out(OnnxPolicy(artefact), env, np.array([command], np.float32), seconds)
    finally:
        env.close()
    planar = rollout.base_lin_vel[:, 0, :2]
    told = ", ".join(f"{value:+.2f}" for value in command)
    captions = tuple(
        f"{time:5.1f} s   command {told}   measured {vx:+.2f}, {vy:+.2f}, {yaw:+.2f}"
        for time, (vx, vy), yaw in zip(rollout.time, planar, rollout.base_ang_vel[:, 0, 2], strict=True)
    )
    poses = rollout.root_pos[:, 0], rollout.root_quat[:, 0], rollout.joint_pos[:, 0]
    return task.robot, Frames.of(rollout.time, *poses, captions)
