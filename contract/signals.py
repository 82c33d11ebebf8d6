"""What flows between robot, policy and simulator: named arrays with a unit and a frame."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Signal:
    """One named signal.

    Attributes:
        name: identifier, also the name of the tensor in the exported graph.
        shape: shape without the batch axis, e.g. `(12,)`.
        unit: SI unit (`rad`, `rad/s`, `m/s`, `N m`, `1` if dimensionless); mixed vectors one a component.
        frame: frame in which it is expressed (`world`, `base`, `imu`, `joint`), or "" where none applies.
        measurable: whether a sensor on a real robot gives it. An exported actor may read no other.
        elements: name of each component, e.g. the joint names in order; empty where they are obvious.
        description: one phrase for humans.
    """

    name: str
    shape: tuple[int, ...]
    unit: str
    frame: str
    measurable: bool = True
    elements: tuple[str, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        last = self.shape[-1] if self.shape else 1
        if self.elements and len(self.elements) != last:
            raise ValueError(f"signal {self.name}: {len(self.elements)} element names for a last axis of {last}")
