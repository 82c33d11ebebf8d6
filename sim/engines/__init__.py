"""Physics engines behind one protocol, by name."""

from __future__ import annotations  # what only types need is not imported: a process of an engine does without torch

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from contract.errors import UsageError
from contract.lookup import unknown
from contract.robot import Robot
from sim.terrains import FLAT, Terrain

if TYPE_CHECKING:
    from sim.engines.engine import Capabilities, Engine


def _mujoco_cpu(robot: Robot, *, threads: int | None, device: str, **settings: Any) -> Engine:
    from sim.engines.mujoco_cpu import MujocoCpuEngine

    _only_cpu("mujoco_cpu", device)
    return MujocoCpuEngine(robot, threads=threads, **settings)


def _mujoco_warp(robot: Robot, *, threads: int | None, device: str, **settings: Any) -> Engine:
    from sim.engines.mujoco_warp.engine import MujocoWarpEngine

    return MujocoWarpEngine(robot, device=device, **settings)


def _pybullet(robot: Robot, *, threads: int | None, device: str, **settings: Any) -> Engine:
    from sim.engines.pybullet.engine import PybulletEngine

    _only_cpu("pybullet", device)
    return PybulletEngine(robot, processes=threads, **settings)


def _isaac_lab(robot: Robot, *, threads: int | None, device: str, **settings: Any) -> Engine:
    from sim.engines.isaac_lab.engine import IsaacLabEngine

    return IsaacLabEngine(robot, device=device, **settings)


def _isaac_lab_physx(robot: Robot, *, threads: int | None, device: str, **settings: Any) -> Engine:
    from sim.engines.isaac_lab.physx_engine import IsaacLabPhysxEngine

    return IsaacLabPhysxEngine(robot, device=device, **settings)


def _only_cpu(name: str, device: str) -> None:
    if device not in ("auto", "cpu"):
        raise UsageError(f"engine {name} runs on the processor alone: leave out --device {device}, or use mujoco_warp")


_MAKERS: dict[str, Callable[..., Engine]] = {
    "isaac_lab": _isaac_lab,
    "isaac_lab_physx": _isaac_lab_physx,
    "mujoco_cpu": _mujoco_cpu,
    "mujoco_warp": _mujoco_warp,
    "pybullet": _pybullet,
}


# Where each engine says what it can do.
_ENGINES = {
    "isaac_lab": "sim.engines.isaac_lab.engine",
    "isaac_lab_physx": "sim.engines.isaac_lab.physx_engine",
    "mujoco_cpu": "sim.engines.mujoco_cpu",
    "mujoco_warp": "sim.engines.mujoco_warp.engine",
    "pybullet": "sim.engines.pybullet.engine",
}

# What each engine imports beside torch; the first that is missing says which extra to install.
_MODULES = {
    "isaac_lab": ("isaaclab", "isaaclab_newton", "newton", "pxr"),
    "isaac_lab_physx": ("isaaclab", "isaaclab_ov", "ovphysx", "ovstage", "pxr"),
    "mujoco_cpu": ("mujoco",),
    "mujoco_warp": ("mujoco_warp", "warp"),
    "pybullet": ("pybullet",),
}


def names() -> list[str]:
    """Engines that Landbridge knows, installed or not."""
    return sorted(_MAKERS)


def missing_module(name: str) -> str | None:
    """The first module that engine `name` needs and that is not installed, or None where it can be made.

    Raises:
        UsageError: no engine of that name.
    """
    if name not in _MAKERS:
        raise unknown("engine", name, _MAKERS)
    return next((module for module in _MODULES[name] if find_spec(module) is None), None)


def capabilities(name: str, robot: Robot) -> Capabilities:
    """What an engine can do with a robot, told without building the engine.

    Raises:
        UsageError: no engine of that name.
        ModuleNotFoundError: it is not installed, see `missing_module`.
    """
    if name not in _MAKERS:
        raise unknown("engine", name, _MAKERS)
    told: Capabilities = import_module(_ENGINES[name]).capabilities(robot)
    return told


def make(
    name: str,
    robot: Robot,
    *,
    num_envs: int,
    physics_dt: float,
    decimation: int,
    threads: int | None = None,
    terrain: Terrain = FLAT,
    device: str = "auto",
) -> Engine:
    """Build an engine.

    Args:
        name: one of `names()`.
        robot: the robot description.
        num_envs: environments.
        physics_dt: physics step in s.
        decimation: physics steps a control period.
        threads: physics threads, or processes; None for one a core.
        terrain: the ground.
        device: `cpu`, `cuda:0`, or `auto`: a GPU where the engine can use one and there is one.

    Raises:
        UsageError: no engine of that name, or not on that device.
    """
    if name not in _MAKERS:
        raise unknown("engine", name, _MAKERS)
    return _MAKERS[name](
        robot,
        num_envs=num_envs,
        physics_dt=physics_dt,
        decimation=decimation,
        threads=threads,
        terrain=terrain,
        device=device,
    )
