"""Which joint is which: recognises swapped, reversed and shifted joints in what an engine reads, does and moves."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.gap.bench import Bench
from policies.gap.response import Response

Floats = NDArray[np.floating[Any]]

_ALIKE = 0.1  # a match is one if it leaves less than this of what the joint's own leaves


@dataclass(frozen=True, eq=False)
class JointMap:
    """`out[i] = sign[i] * given[source[i]] + offset[i]`.

    Attributes:
        residual: (J,) root mean square of what that leaves unexplained, in the signal's unit.
    """

    source: NDArray[np.int64]
    sign: Floats
    offset: Floats
    residual: Floats

    @property
    def moved(self) -> list[int]:
        """Joints that follow another joint, or their own the wrong way."""
        return [i for i in range(len(self.source)) if self.source[i] != i or self.sign[i] < 0.0]

    def describe(self, names: Sequence[str]) -> str:
        """`a and b are swapped, c follows d, e is reversed`, of the joints that moved."""
        said, done = [], set()
        for i in self.moved:
            j = int(self.source[i])
            if i in done:
                continue
            reverse = " reversed" if self.sign[i] < 0.0 else ""
            if j == i:
                said.append(f"{names[i]} is{reverse}")
            elif self.source[j] == i and self.sign[j] == self.sign[i]:
                said.append(f"{names[i]} and {names[j]} are swapped{' and' + reverse if reverse else ''}")
                done.add(j)
            else:
                said.append(f"{names[i]} follows {names[j]}{reverse}")
        return ", ".join(said)


def match(out: Floats, given: Floats) -> JointMap:
    """The map that explains `out` (M, J) by `given` (M, J); a joint's own column where no other is clearly better."""
    out, given = out.astype(np.float64), given.astype(np.float64)
    joints = out.shape[1]
    # left[i, j, k]: rms of out_i -+ given_j about its mean
    signs = np.array([1.0, -1.0])
    difference = out[:, :, None, None] - signs * given[:, None, :, None]
    offset = difference.mean(axis=0)
    left = np.sqrt(np.square(difference - offset).mean(axis=0))
    own = left[np.arange(joints), np.arange(joints), 0]
    best = left.reshape(joints, -1).argmin(axis=1)
    source, flip = np.divmod(best, 2)
    clearly = left.reshape(joints, -1).min(axis=1) < _ALIKE * own
    source, flip = np.where(clearly, source, np.arange(joints)), np.where(clearly, flip, 0)
    rows = np.arange(joints)
    return JointMap(source, signs[flip], offset[rows, source, flip], left[rows, source, flip])


def match_moves(moves: Floats, reference: Floats, tolerance: float) -> JointMap | None:
    """Which joint of one engine is which of another, from what moves with each, (J, D) in m.

    Returns:
        None where some joint moves like none of the other's, or two move alike and cannot be told apart.
    """
    signs = np.array([1.0, -1.0])
    far = np.abs(moves[:, None, None, :] - signs[:, None] * reference[None, :, None, :]).max(axis=3)
    flat = far.reshape(len(moves), -1)
    if (flat.min(axis=1) > tolerance).any() or ((flat <= tolerance).sum(axis=1) > 1).any():
        return None
    source, flip = np.divmod(flat.argmin(axis=1), 2)
    return JointMap(source, signs[flip], np.zeros(len(moves)), flat.min(axis=1))


def match_responses(bench: Bench, theirs: Response) -> list[JointMap]:
    """Which swap of two joints, or which one joint reversed, makes the engine of `bench` move like the other.

    For robots without feet, whose joints nothing else tells apart.

    Args:
        theirs: the other engine's response to `bench.air`.

    Returns:
        All that explain nearly all of the difference: a mirrored machine moves alike whichever half is mirrored.
    """
    start, target = bench.air
    joints = target.shape[1]

    def left(joint_map: JointMap) -> float:
        def mapped(values: Floats) -> NDArray[np.float32]:
            turned: NDArray[np.float32] = (joint_map.sign * values[:, joint_map.source]).astype(np.float32)
            return turned

        wrong = replace(start, joint_pos=mapped(start.joint_pos), joint_vel=mapped(start.joint_vel))
        response = bench.again(wrong, mapped(target))
        return float(np.square(mapped(response.after.joint_vel) - theirs.after.joint_vel).mean())

    def changed(source: list[int], sign: list[float]) -> JointMap:
        return JointMap(np.array(source), np.array(sign), np.zeros(joints), np.zeros(joints))

    order = list(range(joints))
    reversals = [changed(order, [-1.0 if i == j else 1.0 for i in order]) for j in order]
    swaps = [
        changed([j if k == i else i if k == j else k for k in order], [1.0] * joints)
        for i, j in itertools.combinations(order, 2)
    ]
    unchanged = left(changed(order, [1.0] * joints))
    return [candidate for candidate in reversals + swaps if left(candidate) < _ALIKE**2 * unchanged]
