"""What a file says about a robot, before the rest is guessed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sim.formats.links import Pose
from sim.formats.tree import RobotTree


@dataclass(frozen=True)
class Guess:
    """A figure that the file did not give, or something that was replaced or left out."""

    what: str
    value: str
    why: str


def of_joints(what: str, names: Sequence[str], tree: RobotTree) -> str:
    """`what` of the joints called `names`, in words."""
    return f"{what} of {'all joints' if len(names) == len(tree.joints) else ', '.join(names)}"


@dataclass(frozen=True)
class Motor:
    """What a file says about the motor of a joint; None where it is silent. Units as in `contract.robot.Joint`."""

    velocity_limit: float | None = None
    effort_limit: float | None = None
    kp: float | None = None
    kd: float | None = None
    passive: bool = False


@dataclass(frozen=True, eq=False)
class Found:
    """A robot as far as a file describes it.

    Attributes:
        tree: links that weigh something, or a bolted base; joints may be without limits, names are unique.
        motors: by joint name.
        default_pos: rad or m by joint name, of the file's own pose; empty where it has none.
        imu: link and pose in it of an IMU.
        fixed_base: whether the base is bolted; None where the format cannot say, and the base's joint is then free.
        armature: whether the format can say it.
        guesses: what was replaced or left out in reading.
    """

    tree: RobotTree
    motors: dict[str, Motor]
    default_pos: dict[str, float] = field(default_factory=dict)
    imu: tuple[str, Pose] | None = None
    fixed_base: bool | None = None
    armature: bool = True
    guesses: tuple[Guess, ...] = ()
