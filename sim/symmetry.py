"""Left-right mirror images of vectors whose parts are known: a permutation and a sign for each component."""

from enum import Enum

import torch
from torch import Tensor

from contract.robot import Robot


class MirrorKind(Enum):
    """What a part of a vector is, which says how it is mirrored in the plane y = 0 of the base."""

    VECTOR = "vector"  # polar vector (x, y, z): y changes sign
    AXIAL = "axial"  # axial vector (x, y, z), such as an angular velocity: x and z change sign
    JOINT = "joint"  # one number a joint
    FOOT = "foot"  # one number a foot
    PHASE = "phase"  # sine and cosine of the phase of a gait whose left and right halves alternate
    COMMAND = "command"  # a command, by its own signs
    SCALAR = "scalar"  # the same in a mirror


class Mirror:
    """Mirrors (N, D) tensors made of parts, in order.

    Args:
        robot: its joint and foot symmetry.
        parts: kind and size of each part.
        command_sign: signs of a command's components.
        device: where the tensors to mirror are.

    Raises:
        ValueError: the robot has no mirror image, or a part is not of the size that its kind has.
    """

    def __init__(
        self,
        robot: Robot,
        parts: list[tuple[MirrorKind, int]],
        command_sign: tuple[float, ...] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        permutation: list[int] = []
        sign: list[float] = []
        for kind, size in parts:
            order, flips = _part(robot, kind, size, command_sign)
            permutation += [len(sign) + i for i in order]
            sign += flips
        self.permutation = torch.tensor(permutation, dtype=torch.long, device=device)
        self.sign = torch.tensor(sign, device=device)

    def __call__(self, x: Tensor) -> Tensor:
        """Mirror image of (N, D). Twice gives the original."""
        return x.index_select(1, self.permutation) * self.sign


def _part(robot: Robot, kind: MirrorKind, size: int, command_sign: tuple[float, ...]) -> tuple[list[int], list[float]]:
    order, flips = list(range(size)), [1.0] * size
    mirror = robot.mirror
    if mirror is None:
        raise ValueError(f"robot {robot.name} has no mirror image")
    if kind is MirrorKind.VECTOR:
        flips = [1.0, -1.0, 1.0]
    elif kind is MirrorKind.AXIAL:
        flips = [-1.0, 1.0, -1.0]
    elif kind is MirrorKind.JOINT:
        order, flips = list(mirror.joint_permutation), list(mirror.joint_sign)
    elif kind is MirrorKind.FOOT:
        order = list(mirror.foot_permutation)
    elif kind is MirrorKind.PHASE:  # half a period later
        flips = [-1.0] * size
    elif kind is MirrorKind.COMMAND:
        flips = list(command_sign)
    if len(flips) != size or len(order) != size:
        raise ValueError(f"a part of kind {kind.value} has {len(flips)} numbers, this one {size}")
    return order, flips
