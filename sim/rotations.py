"""Batched quaternion maths for torch tensors, (..., 4) as (w, x, y, z). `contract.rotations` is the numpy twin."""

import torch
from torch import Tensor


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product: the rotation `b` followed by `a`."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def quat_rotate(q: Tensor, v: Tensor) -> Tensor:
    """Turn vectors (..., 3) by unit quaternions: v + 2 w (u x v) + 2 u x (u x v)."""
    w, u = q[..., :1], q[..., 1:]
    t = 2.0 * torch.linalg.cross(u, v)
    return v + w * t + torch.linalg.cross(u, t)


def quat_rotate_inverse(q: Tensor, v: Tensor) -> Tensor:
    """Turn vectors (..., 3) by the inverse of unit quaternions: world to body for world_from_body."""
    w, u = q[..., :1], q[..., 1:]
    t = 2.0 * torch.linalg.cross(u, v)
    return v - w * t + torch.linalg.cross(u, t)


def projected_gravity(q: Tensor) -> Tensor:
    """Unit vector of gravity (0, 0, -1 in the world) in the body frame, (..., 3), from world_from_body."""
    w, x, y, z = q.unbind(-1)
    return torch.stack([-2.0 * (x * z - w * y), -2.0 * (y * z + w * x), 2.0 * (x * x + y * y) - 1.0], dim=-1)


def quat_from_yaw(yaw: Tensor) -> Tensor:
    """Rotation about world z, (...) rad -> (..., 4)."""
    zero = torch.zeros_like(yaw)
    return torch.stack([torch.cos(0.5 * yaw), zero, zero, torch.sin(0.5 * yaw)], dim=-1)


def quat_from_vector(v: Tensor) -> Tensor:
    """Rotation by a rotation vector (..., 3) rad, of any size."""
    angle = v.norm(dim=-1, keepdim=True)
    return torch.cat([torch.cos(0.5 * angle), 0.5 * v * torch.sinc(0.5 * angle / torch.pi)], dim=-1)


def quat_from_small_angle(v: Tensor) -> Tensor:
    """Rotation by a small rotation vector (..., 3) rad, normalised; exact to second order."""
    q = torch.cat([torch.ones_like(v[..., :1]), 0.5 * v], dim=-1)
    return q / q.norm(dim=-1, keepdim=True)
