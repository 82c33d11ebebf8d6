"""Bases under their parameters: bodies that can exist, the formulas of loads, and principal axes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import UsageError
from contract.rotations import quat_to_matrix
from sim.engines.inertia import Body, check_mass, is_shaped, loaded, principal

FIGURES = st.lists(st.floats(-1.5, 1.5), min_size=15, max_size=15)


def _rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.linalg.det(q)


def _body(seed):
    """Of positive second moments, turned at random."""
    generator = np.random.default_rng(seed)
    axes, moments = _rotation(seed), np.exp(generator.uniform(-6.0, 0.0, 3))
    inertia = axes @ np.diag(moments.sum() - moments) @ axes.T
    mass, com = generator.uniform(0.5, 20.0), generator.normal(size=3)
    return Body(*(torch.as_tensor(value, dtype=torch.float64)[None] for value in (mass, com, inertia)))


def _values(rows=1, **given):
    nominal = {
        "payload_mass": [0.0],
        "payload_pos": [0.0] * 3,
        "base_com": [0.0] * 3,
        "base_mass_factor": [1.0],
        "base_stretch": [0.0] * 3,
        "base_shear": [0.0] * 3,
    }
    return {n: torch.tensor([v] * rows, dtype=torch.float64) for n, v in {**nominal, **given}.items()}


@given(st.integers(0, 10_000), FIGURES, st.floats(0.0, 30.0), st.floats(-1.5, 1.5))
def test_whatever_the_parameters_the_body_can_exist(seed, figures, payload, log_factor):
    """Positive definite, and no moment of inertia larger than the other two together."""
    values = _values(
        payload_mass=[payload],
        payload_pos=figures[0:3],
        base_com=figures[3:6],
        base_mass_factor=[float(np.exp(log_factor))],
        base_stretch=figures[6:9],
        base_shear=figures[9:12],
    )
    inertia = loaded(_body(seed), values).inertia[0].numpy()
    moments = np.linalg.eigvalsh(inertia)
    assert moments[0] > 0.0
    assert moments[2] <= moments[0] + moments[1] + 1e-9 * moments[2]


def test_nominal_parameters_change_nothing():
    body = _body(1)
    same = loaded(body, _values(2))
    assert (same.mass == body.mass).all()
    assert (same.com == body.com).all()
    torch.testing.assert_close(same.inertia, body.inertia.expand(2, 3, 3), rtol=1e-12, atol=0.0)
    assert not is_shaped(_values(2, payload_mass=[3.0], base_com=[0.1, 0.0, 0.0])).any()
    assert not is_shaped(_values(2, payload_pos=[0.1, 0.0, 0.0])).any()
    assert is_shaped(_values(2, payload_pos=[0.1, 0.0, 0.0], payload_mass=[1.0])).all()
    for name, value in (
        ("base_stretch", [0.0, 0.1, 0.0]),
        ("base_mass_factor", [1.1]),
        ("base_shear", [0.0, 0.0, 0.1]),
    ):
        assert is_shaped(_values(2, **{name: value})).all(), name


def test_a_payload_is_a_point_that_adds_up_with_the_base():
    """Against sums over points: the base as a cloud of points with its moments, and the payload as one more."""
    body = _body(2)
    second = 0.5 * body.inertia[0].trace() * torch.eye(3, dtype=torch.float64) - body.inertia[0]
    root = torch.linalg.cholesky(second / body.mass)
    # Six points at +- the columns of a root have its second moments.
    cloud = body.com + (3.0**0.5) * torch.cat([root.mT, -root.mT])
    place, payload = torch.tensor([0.2, -0.1, 0.3], dtype=torch.float64), 4.0
    points = torch.cat([cloud, body.com + place])
    masses = torch.cat([(body.mass / 6.0).expand(6), torch.tensor([payload], dtype=torch.float64)])
    com = (masses[:, None] * points).sum(0) / masses.sum()
    arms = points - com
    about = (masses[:, None, None] * arms[:, :, None] * arms[:, None, :]).sum(0)
    found = loaded(body, _values(payload_mass=[payload], payload_pos=place.tolist()))
    torch.testing.assert_close(found.mass[0], masses.sum())
    torch.testing.assert_close(found.com[0], com)
    torch.testing.assert_close(found.inertia[0], about.trace() * torch.eye(3, dtype=torch.float64) - about)


def test_a_factor_on_the_mass_is_one_on_the_inertia():
    body = _body(3)
    found = loaded(body, _values(base_mass_factor=[1.7]))
    torch.testing.assert_close(found.mass, 1.7 * body.mass)
    torch.testing.assert_close(found.inertia, 1.7 * body.inertia)


def test_what_is_taken_away_is_taken_away_at_the_centre():
    body = _body(4)
    found = loaded(body, _values(payload_mass=[-0.1], payload_pos=[1.0, 1.0, 1.0]))
    torch.testing.assert_close(found.mass, body.mass - 0.1)
    torch.testing.assert_close(found.com, body.com)
    torch.testing.assert_close(found.inertia, body.inertia)
    with pytest.raises(UsageError, match="payload_mass takes away more than the mass of the base"):
        check_mass(loaded(body, _values(payload_mass=[-100.0])))


def test_a_bolted_base_may_weigh_nothing():
    nothing = Body(*(torch.zeros(*shape, dtype=torch.float64) for shape in ((1,), (1, 3), (1, 3, 3))))
    found = loaded(nothing, _values(payload_pos=[0.1, 0.0, 0.0]))
    assert torch.isfinite(found.com).all()
    check_mass(found)


@given(st.integers(0, 10_000))
def test_principal_axes_turn_the_moments_into_the_inertia(seed):
    body = _body(seed)
    moments, turn = principal(body.inertia)
    axes = quat_to_matrix(turn[0].numpy())
    found = axes @ np.diag(moments[0].numpy()) @ axes.T
    np.testing.assert_allclose(found, body.inertia[0].numpy(), rtol=0.0, atol=1e-12 * float(moments.max()))


def test_axes_that_are_principal_stay_what_they_are():
    inertia = torch.diag(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))[None]
    moments, turn = principal(inertia)
    assert moments[0].tolist() == [3.0, 1.0, 2.0]
    assert turn[0].tolist() == [1.0, 0.0, 0.0, 0.0]
