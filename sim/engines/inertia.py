"""Mass, centre and inertia of a base under its parameters: whatever they are, those of a body that can exist.

With its second moments about the centre of mass, S = tr(I) / 2 - I, a body exists where S is positive definite; the
triangle inequality of its moments of inertia follows. Stretched and sheared by a matrix U they become U S U^T, which is
positive definite with S. This is the log-Cholesky parameterisation of pseudo-inertias (Rucker and Wensing 2022, "Smooth
parameterization of rigid-body inertia", IEEE RA-L 7(2)) in the frame of the nominal centre of mass: with their symbols
`base_mass_factor` is exp(2 alpha), `base_stretch` d, `base_shear` (s12, s13, s23), and `base_com` t.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from contract.errors import UsageError

_SWEEPS = 5

# All that the mass of a base depends on.
OF_THE_BASE = ("payload_mass", "payload_pos", "base_com", "base_mass_factor", "base_stretch", "base_shear")


@dataclass(frozen=True)
class Body:
    """Rigid bodies, float64.

    Attributes:
        mass: (n,) kg.
        com: (n, 3) m, centre of mass in the body's frame.
        inertia: (n, 3, 3) kg m^2, about it, in the axes of that frame.
    """

    mass: Tensor
    com: Tensor
    inertia: Tensor


def loaded(nominal: Body, values: Mapping[str, Tensor]) -> Body:
    """The base (1 row in `nominal`) under the parameters `OF_THE_BASE`, (n, size) each, float64.

    A payload below 0 is taken away at the centre of mass, wherever `payload_pos` is.
    """
    factor, shift, payload = values["base_mass_factor"], values["base_com"], values["payload_mass"]
    place = values["payload_pos"] * (payload > 0.0)
    mass = factor[:, 0] * nominal.mass
    moments = _second_moments(nominal.inertia)
    change = _change(values["base_stretch"], values["base_shear"])
    moments = factor[..., None] * (change @ moments @ change.mT)
    total = mass + payload[:, 0]
    share = torch.where(payload > 0.0, payload / total[:, None], 0.0)  # a base that is bolted down may weigh nothing
    # Two points of masses m and l, p apart, have the second moments m l / (m + l) p p^T about their centre.
    moments = moments + (mass[:, None] * share)[..., None] * place[:, :, None] * place[:, None, :]
    inertia = moments.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] * _one(moments) - moments
    return Body(total, nominal.com + shift + share * place, inertia)


def check_mass(body: Body) -> None:
    """Raises UsageError where a payload takes away more than there is. Not for a GPU: it would be waited for."""
    if not bool((body.mass >= 0.0).all()):
        raise UsageError("randomisation: payload_mass takes away more than the mass of the base")


def is_shaped(values: Mapping[str, Tensor]) -> Tensor:
    """(n,) bool: whether moments of inertia are others than the nominal ones."""
    loaded_aside = (values["payload_pos"] != 0.0) & (values["payload_mass"] > 0.0)
    changed = [values["base_mass_factor"] != 1.0, values["base_stretch"] != 0.0, values["base_shear"] != 0.0]
    return torch.cat([loaded_aside, *changed], dim=1).any(dim=1)


def principal(inertia: Tensor) -> tuple[Tensor, Tensor]:
    """Principal moments (n, 3) kg m^2, and the quaternion (n, 4) that turns vectors in their axes into the body's.

    By Jacobi's rotations, so many that float64 has no digits left: torch's own routine waits for a GPU.
    """
    upper = [[inertia[:, min(i, j), max(i, j)] for j in range(3)] for i in range(3)]
    moments = [upper[i][i] for i in range(3)]
    off = [upper[1][2], upper[0][2], upper[0][1]]  # by the axis about which a rotation makes it zero
    turn = [torch.ones_like(moments[0]), *(torch.zeros_like(moments[0]) for _ in range(3))]
    for _ in range(_SWEEPS):
        for axis in range(3):
            p, q = (axis + 1) % 3, (axis + 2) % 3
            this = off[axis]
            apart = 0.5 * (moments[q] - moments[p])
            reach = torch.sqrt(apart * apart + this * this)
            tangent = this / torch.where(apart < 0.0, apart - reach, apart + reach)
            tangent = torch.where(this == 0.0, 0.0, tangent)
            cosine = torch.rsqrt(1.0 + tangent * tangent)
            sine = tangent * cosine
            moments[p], moments[q] = moments[p] - tangent * this, moments[q] + tangent * this
            off[axis] = torch.zeros_like(this)
            # Off-diagonals of the third axis with p and with q.
            with_p, with_q = off[q], off[p]
            off[q], off[p] = cosine * with_p - sine * with_q, sine * with_p + cosine * with_q
            # By -atan(tangent) about the axis: half of it, from the cosine of all.
            half = torch.sqrt(0.5 + 0.5 * cosine)
            swing = -0.5 * sine / half
            turned = [half * turn[i] for i in range(4)]
            turned[0] = turned[0] - swing * turn[1 + axis]
            turned[1 + axis] = turned[1 + axis] + swing * turn[0]
            turned[1 + p] = turned[1 + p] + swing * turn[1 + q]
            turned[1 + q] = turned[1 + q] - swing * turn[1 + p]
            turn = turned
    return torch.stack(moments, dim=1), torch.stack(turn, dim=1)


def _second_moments(inertia: Tensor) -> Tensor:
    return 0.5 * inertia.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] * _one(inertia) - inertia


def _one(like: Tensor) -> Tensor:
    return torch.eye(3, dtype=like.dtype, device=like.device)


def _change(stretch: Tensor, shear: Tensor) -> Tensor:
    """(n, 3, 3) upper triangular, the stretch's exponentials on the diagonal and the shear above it."""
    matrix = torch.diag_embed(stretch.exp())
    matrix[:, 0, 1], matrix[:, 0, 2], matrix[:, 1, 2] = shear.unbind(1)
    return matrix
