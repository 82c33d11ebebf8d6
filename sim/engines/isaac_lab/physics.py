"""What the engine needs of a physics behind Isaac Lab, beyond Isaac Lab's own articulation."""

from pathlib import Path
from typing import Any, Protocol

from isaaclab.scene import InteractiveScene
from isaaclab.sim import SimulationContext
from torch import Tensor


class Physics(Protocol):
    """Settings of a physics, and the quantities that are reached past Isaac Lab's articulation.

    Attributes:
        config: Isaac Lab's configuration of the physics.
        hides_memory: whether the solver remembers more than `memory` tells, until a robot's state is written.
    """

    config: Any
    hides_memory: bool

    def amend(self, robot: Path, ground: Path) -> None:
        """Add to the USD files of robot and ground what this physics alone reads."""
        ...

    def prepare(self, simulation: SimulationContext) -> None:
        """Before the model is made."""
        ...

    def contact_sensor(self, robot: str) -> Any:
        """Configuration of the sensor that `contact_force` reads for the robots at a path; None if it reads none."""
        ...

    def bind(self, scene: InteractiveScene, contact_geoms: tuple[str, ...]) -> None:
        """Take hold of a simulation that has been built; `contact_geoms` are the columns of `contact_force`."""
        ...

    def contact_force(self) -> Tensor:
        """(N, G) N, size of the normal force on each collision geom in the last physics step."""
        ...

    def set_effort_limit(self, ids: Tensor, joints: list[int], value: Tensor) -> None:
        """Torque limits (n, len(joints)) N m of robots `ids` (n,); joints in Isaac Lab's numbers."""
        ...

    def set_joint_friction(self, ids: Tensor, joints: list[int], value: Tensor) -> None:
        """Coulomb friction (n, len(joints)) N m of joints; in Isaac Lab's numbers."""
        ...

    def set_centre_of_mass(self, ids: Tensor, bodies: list[int], value: Tensor) -> None:
        """Centres of mass (n, len(bodies), 3) m in the bodies' frames; bodies in Isaac Lab's numbers."""
        ...

    def set_friction(self, ids: Tensor, value: Tensor) -> None:
        """Sliding friction (n, 1) of all collision shapes of robots `ids` (n,), whatever the ground's."""
        ...

    def memory(self) -> dict[str, Tensor]:
        """What the solver remembers from step to step beside positions and velocities, (N, ...) each."""
        ...
