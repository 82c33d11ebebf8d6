"""Physics engines behind one protocol, by name."""

from collections.abc import Callable

from contract.lookup import unknown
from contract.robot import Robot
from sim.engines.engine import Engine


def _mujoco_cpu(robot: Robot, *, num_envs: int, physics_dt: float, decimation: int, threads: int | None) -> Engine:
    from sim.engines.mujoco_cpu import MujocoCpuEngine

    return MujocoCpuEngine(robot, num_envs=num_envs, physics_dt=physics_dt, decimation=decimation, threads=threads)


_MAKERS: dict[str, Callable[..., Engine]] = {"mujoco_cpu": _mujoco_cpu}


def names() -> list[str]:
    """Engines that can be made."""
    return sorted(_MAKERS)


def make(
    name: str, robot: Robot, *, num_envs: int, physics_dt: float, decimation: int, threads: int | None = None
) -> Engine:
    """Build an engine. `physics_dt` in s; `decimation` physics steps a control period; `threads` None for all cores.

    Raises:
        UsageError: no engine of that name.
    """
    if name not in _MAKERS:
        raise unknown("engine", name, _MAKERS)
    return _MAKERS[name](robot, num_envs=num_envs, physics_dt=physics_dt, decimation=decimation, threads=threads)
