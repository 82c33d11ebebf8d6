"""Left-right symmetry of a robot, from where its joints are."""

from collections.abc import Sequence

import numpy as np

from contract.robot import Mirror
from contract.rotations import quat_rotate
from sim.formats.importing.stance import Leg, chain, on_the_origin
from sim.formats.links import TreeJoint
from sim.formats.tree import RobotTree

_ALIKE = 2e-3  # m, between a joint and the mirror image of its partner
_LIMITS_ALIKE = 0.05  # rad or m
_REFLECTION = np.array([1.0, -1.0, 1.0])


def mirror(tree: RobotTree, found: Sequence[Leg]) -> Mirror | None:
    """The symmetry about the base's xz plane; None where some joint, mass, limit or foot has no mirror image."""
    joints = [link for link in tree.links if link.joint.moves]
    poses = on_the_origin(tree, np.zeros(len(joints)))
    places = [poses[link.name].point(link.joint.anchor) for link in joints]
    axes = [quat_rotate(poses[link.name].quat, link.joint.axis) for link in joints]
    permutation, signs = [], []
    for i, link in enumerate(joints):
        # A turn is reflected as the cross product that it is.
        image = _REFLECTION * axes[i] * (-1.0 if link.joint.kind == "hinge" else 1.0)
        partners = [
            (j, sign)
            for j, other in enumerate(joints)
            for sign in (1.0, -1.0)
            if other.joint.kind == link.joint.kind
            and np.linalg.norm(places[j] - _REFLECTION * places[i]) < _ALIKE
            and np.linalg.norm(sign * axes[j] - image) < _ALIKE
            and abs(other.mass - link.mass) < 0.05 * link.mass
            and _limits_agree(link.joint, other.joint, sign)
        ]
        if not partners:
            return None
        j, sign = min(partners, key=lambda partner: abs(len(chain(tree, joints[partner[0]])) - len(chain(tree, link))))
        permutation.append(j)
        signs.append(sign)
    if any(permutation[permutation[i]] != i for i in range(len(joints))):
        return None
    tips = [(poses[leg.link.name] @ leg.geom.pose).pos for leg in found]
    feet = []
    for tip in tips:
        distances = [float(np.linalg.norm(other - _REFLECTION * tip)) for other in tips]
        if min(distances) > 5 * _ALIKE:
            return None
        feet.append(int(np.argmin(distances)))
    return Mirror(tuple(permutation), tuple(signs), tuple(feet))


def _limits_agree(a: TreeJoint, b: TreeJoint, sign: float) -> bool:
    expected = (a.lower, a.upper) if sign > 0.0 else (-a.upper, -a.lower)
    return bool(np.allclose(expected, (b.lower, b.upper), atol=_LIMITS_ALIKE))
