"""The border between this project's states and Bullet's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from contract.rotations import quat_multiply, quat_rotate
from sim.engines.pybullet.frames import from_bullet, to_bullet

JOINTS = 2
_numbers = st.floats(-5.0, 5.0, width=32)
_quats = arrays(np.float64, 4, elements=_numbers).filter(lambda q: np.linalg.norm(q) > 0.1)


def _unit(quat):
    return quat / np.linalg.norm(quat)


@st.composite
def _states(draw):
    state = draw(arrays(np.float64, (3, 13 + 2 * JOINTS), elements=_numbers))
    state[:, 3:7] = [_unit(draw(_quats)) for _ in range(3)]
    return state


@given(_states(), arrays(np.float64, (3, 3), elements=_numbers), _quats.map(_unit))
def test_there_and_back(state, com, principal):
    there = to_bullet(state, com, principal)
    np.testing.assert_allclose(from_bullet(there, com, principal), state, atol=1e-12)


@given(_states(), arrays(np.float64, 3, elements=_numbers), _quats.map(_unit))
def test_bullets_base_is_the_centre_of_mass_of_ours(state, com, principal):
    """Its velocity is that of the body at that point, by a difference over a short time; its axes are the principal."""
    there = to_bullet(state, com, principal)
    pos, quat, linear, angular = np.split(state[:, :13], (3, 7, 10), axis=1)

    def centre(t):
        turn = np.concatenate([np.ones((3, 1)), 0.5 * t * angular], axis=1)
        turned = quat_multiply(quat, turn / np.linalg.norm(turn, axis=1, keepdims=True))
        return pos + t * linear + quat_rotate(turned, com)

    h = 1e-6
    np.testing.assert_allclose(there[:, :3], centre(0.0), atol=1e-12)
    np.testing.assert_allclose(there[:, 7:10], (centre(h) - centre(-h)) / (2 * h), atol=1e-6)
    along = np.array([0.3, -0.5, 0.8])  # in the principal axes
    xyzw = there[:, 3:7]
    world_from_principal = np.concatenate([xyzw[:, 3:], xyzw[:, :3]], axis=1)
    np.testing.assert_allclose(
        quat_rotate(world_from_principal, along), quat_rotate(quat, quat_rotate(principal, along)), atol=1e-12
    )
    np.testing.assert_allclose(there[:, 10:13], quat_rotate(quat, angular), atol=1e-12)
    np.testing.assert_array_equal(there[:, 13:], state[:, 13:])


@given(_quats.map(_unit), st.floats(0.5, 2.0))
def test_an_orientation_that_has_lost_its_length_gets_it_back(quat, length):
    state = np.zeros((1, 13))
    state[0, 3:7] = length * quat
    there = to_bullet(state, np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(there[0, 3:7], np.roll(quat, -1), atol=1e-12)
