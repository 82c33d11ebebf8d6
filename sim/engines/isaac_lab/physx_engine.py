"""The engine `isaac_lab_physx`: Isaac Lab 3 on PhysX, as ovphysx brings it, without Isaac Sim."""

from typing import TYPE_CHECKING, Any

from contract.errors import UsageError
from contract.robot import Robot
from sim.engines.engine import Capabilities
from sim.engines.isaac_lab.engine import PARAMETERS, IsaacLabEngine
from sim.engines.mujoco_model import MujocoModel, SolverOptions, build_model
from sim.engines.mujoco_parameters import parameters_of

if TYPE_CHECKING:
    from sim.engines.isaac_lab.physics import Physics

_LIMITS = (
    "It runs on the processor alone, without Isaac Sim: PhysX as ovphysx brings it.",
    "One simulation in a process: Isaac Lab cannot hold a second.",
    "Contacts and joint stops are hard: they have none of the give of MuJoCo's.",
    "Motors are implicit in position, too: they brake by kp dt more than their kd, for a physics step of dt.",
    "Contacts remember where they hold: to go on alike after a checkpoint, they forget it when one is taken.",
    "Arithmetic is float32.",
)


class IsaacLabPhysxEngine(IsaacLabEngine):
    """`IsaacLabEngine` on PhysX.

    Raises:
        UsageError: a simulation is open in this process already, or the device is not the processor.
    """

    name = "isaac_lab_physx"

    def __init__(self, robot: Robot, *, device: str = "auto", **settings: Any) -> None:
        if device not in ("auto", "cpu"):
            raise UsageError(f"engine {self.name} runs on the processor alone: leave out --device {device}")
        super().__init__(robot, device="cpu", **settings)

    @staticmethod
    def _make_physics(built: MujocoModel, solver: SolverOptions) -> "Physics":
        from sim.engines.isaac_lab.physx import PhysX

        return PhysX()

    @staticmethod
    def _capabilities(robot: Robot, built: MujocoModel) -> Capabilities:
        return _capabilities(robot, built)


def capabilities(robot: Robot) -> Capabilities:
    """What the engine can do with a robot, told without building it."""
    return _capabilities(robot, build_model(robot, physics_dt=0.005))


def _capabilities(robot: Robot, built: MujocoModel) -> Capabilities:
    known = parameters_of(robot, built)
    return Capabilities({name: known[name] for name in PARAMETERS}, trains=False, limits=_LIMITS)
