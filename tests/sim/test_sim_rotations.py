"""The torch quaternions against their numpy twin, which is tested against MuJoCo's."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract import rotations as twin
from sim import rotations as rot

coordinate = st.floats(-1.0, 1.0, allow_nan=False)
vectors = st.tuples(*[st.floats(-10.0, 10.0, allow_nan=False)] * 3).map(lambda v: torch.tensor(v, dtype=torch.float64))
quats = (
    st.tuples(*[coordinate] * 4)
    .map(lambda q: torch.tensor(q, dtype=torch.float64))
    .filter(lambda q: bool(q.norm() > 0.1))
    .map(lambda q: q / q.norm())
)
X = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
angles = st.floats(-10.0, 10.0, allow_nan=False)


def _close(a, b, atol=1e-10):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=atol)


@given(quats, quats)
def test_product(a, b):
    _close(rot.quat_multiply(a, b), twin.quat_multiply(a.numpy(), b.numpy()))


@given(quats, vectors)
def test_rotation_and_its_inverse(q, v):
    _close(rot.quat_rotate(q, v), twin.quat_rotate(q.numpy(), v.numpy()))
    _close(rot.quat_rotate_inverse(q, v), twin.quat_rotate_inverse(q.numpy(), v.numpy()))
    _close(rot.quat_rotate_inverse(q, rot.quat_rotate(q, v)), v)


@given(quats)
def test_gravity_in_the_body_frame(q):
    down = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    _close(rot.projected_gravity(q), rot.quat_rotate_inverse(q, down))
    _close(rot.projected_gravity(q), twin.projected_gravity(q.numpy()))


@given(angles)
def test_yaw(angle):
    turned = rot.quat_rotate(rot.quat_from_yaw(torch.tensor(angle, dtype=torch.float64)), X)
    _close(turned, [np.cos(angle), np.sin(angle), 0.0])


@given(vectors.map(lambda v: 0.005 * v))
def test_small_rotations(v):
    q = rot.quat_from_small_angle(v)
    _close(q.norm(), 1.0)
    angle = v.norm()
    exact = torch.cat([torch.cos(angle / 2)[None], v / 2 * torch.sinc(angle / (2 * torch.pi))])
    _close(q, exact, atol=float(angle) ** 3 / 20 + 1e-12)


def test_batches_keep_their_shape():
    q = torch.randn(3, 5, 4)
    assert rot.quat_multiply(q, q).shape == (3, 5, 4)
    assert rot.projected_gravity(q).shape == (3, 5, 3)
    assert rot.quat_rotate(q, torch.randn(3, 5, 3)).shape == (3, 5, 3)
    assert rot.quat_from_yaw(torch.zeros(3, 5)).shape == (3, 5, 4)
    assert rot.quat_from_small_angle(torch.zeros(3, 5, 3)).shape == (3, 5, 4)
