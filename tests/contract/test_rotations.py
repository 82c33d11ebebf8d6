"""Quaternion maths against its algebra, against rotation matrices, and against MuJoCo's."""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import rotations as rot
from contract.rotations import Array

ATOL = 1e-12

coordinate = st.floats(-1.0, 1.0, allow_nan=False)
vectors = st.tuples(*[st.floats(-100.0, 100.0, allow_nan=False)] * 3).map(np.array)
quats = (
    st.tuples(*[coordinate] * 4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
angles = st.floats(-3.1, 3.1, allow_nan=False)
pitches = st.floats(-1.5, 1.5, allow_nan=False)


def _same_rotation(a: Array, b: Array) -> bool:
    """A quaternion and its negative are one rotation."""
    return bool(np.allclose(a, b, atol=ATOL) or np.allclose(a, -b, atol=ATOL))


@given(quats, quats)
def test_product_is_mujocos(a: Array, b: Array) -> None:
    expected = np.zeros(4)
    mujoco.mju_mulQuat(expected, a, b)
    np.testing.assert_allclose(rot.quat_multiply(a, b), expected, atol=ATOL)


@given(quats, vectors)
def test_rotation_is_mujocos(q: Array, v: Array) -> None:
    expected = np.zeros(3)
    mujoco.mju_rotVecQuat(expected, v, q)
    np.testing.assert_allclose(rot.quat_rotate(q, v), expected, atol=1e-10)


@given(quats)
def test_matrix_is_mujocos(q: Array) -> None:
    expected = np.zeros(9)
    mujoco.mju_quat2Mat(expected, q)
    np.testing.assert_allclose(rot.quat_to_matrix(q), expected.reshape(3, 3), atol=ATOL)


@given(angles, pitches, angles)
def test_euler_is_mujocos(roll: float, pitch: float, yaw: float) -> None:
    expected = np.zeros(4)
    mujoco.mju_euler2Quat(expected, np.array([roll, pitch, yaw]), "XYZ")  # capitals: fixed axes
    np.testing.assert_allclose(rot.quat_from_euler([roll, pitch, yaw]), expected, atol=ATOL)


@given(quats, vectors)
def test_matrix_rotates_like_the_quaternion(q: Array, v: Array) -> None:
    np.testing.assert_allclose(rot.quat_to_matrix(q) @ v, rot.quat_rotate(q, v), atol=1e-10)


@given(quats, vectors)
def test_rotation_keeps_length(q: Array, v: Array) -> None:
    np.testing.assert_allclose(np.linalg.norm(rot.quat_rotate(q, v)), np.linalg.norm(v), atol=1e-10)


@given(quats, quats, vectors)
def test_product_is_composition(a: Array, b: Array, v: Array) -> None:
    np.testing.assert_allclose(
        rot.quat_rotate(rot.quat_multiply(a, b), v), rot.quat_rotate(a, rot.quat_rotate(b, v)), atol=1e-9
    )


@given(quats, vectors)
def test_inverse_undoes_rotation(q: Array, v: Array) -> None:
    np.testing.assert_allclose(rot.quat_rotate_inverse(q, rot.quat_rotate(q, v)), v, atol=1e-10)
    np.testing.assert_allclose(rot.quat_multiply(q, rot.quat_conjugate(q)), [1, 0, 0, 0], atol=ATOL)


@given(angles, pitches, angles)
def test_euler_round_trip(roll: float, pitch: float, yaw: float) -> None:
    rpy = np.array([roll, pitch, yaw])
    np.testing.assert_allclose(rot.euler_from_quat(rot.quat_from_euler(rpy)), rpy, atol=1e-9)


@given(quats)
def test_euler_of_any_rotation_gives_it_back(q: Array) -> None:
    rpy = rot.euler_from_quat(q)
    assert (np.abs(rpy) <= np.pi * np.array([1, 0.5, 1]) + ATOL).all()
    assert _same_rotation(rot.quat_from_euler(rpy), q)


@given(angles, angles, st.sampled_from([-1.0, 1.0]), st.sampled_from([0.0, 1e-16, 1e-9, 1e-6]))
def test_euler_of_a_robot_on_its_nose_or_tail(roll: float, yaw: float, sign: float, gap: float) -> None:
    """Roll and yaw turn about one axis there: the angles may differ, the rotation may not."""
    q = rot.quat_from_euler([roll, sign * (np.pi / 2 - gap), yaw])
    rpy = rot.euler_from_quat(q)
    np.testing.assert_allclose(rpy[1], sign * (np.pi / 2 - gap), atol=1e-9)
    assert _same_rotation(rot.quat_from_euler(rpy), q)


def test_euler_axes() -> None:
    """Positive roll lifts the left side, positive pitch lowers the nose, positive yaw turns left."""
    quarter = np.pi / 2
    np.testing.assert_allclose(rot.quat_rotate(rot.quat_from_euler([quarter, 0, 0]), [0, 1, 0]), [0, 0, 1], atol=ATOL)
    np.testing.assert_allclose(rot.quat_rotate(rot.quat_from_euler([0, quarter, 0]), [1, 0, 0]), [0, 0, -1], atol=ATOL)
    np.testing.assert_allclose(rot.quat_rotate(rot.quat_from_euler([0, 0, quarter]), [1, 0, 0]), [0, 1, 0], atol=ATOL)


@given(quats)
def test_gravity_is_world_down_in_the_body(q: Array) -> None:
    np.testing.assert_allclose(rot.projected_gravity(q), rot.quat_rotate_inverse(q, [0, 0, -1]), atol=ATOL)


@given(quats)
def test_tilt_is_the_angle_between_the_z_axes(q: Array) -> None:
    z = rot.quat_rotate(q, [0, 0, 1])
    angle = np.arctan2(np.hypot(z[0], z[1]), z[2])
    np.testing.assert_allclose(rot.tilt(q), angle, atol=1e-7)


@given(angles, st.floats(0.0, 3.1, allow_nan=False), angles)
def test_tilt_ignores_heading(heading: float, angle: float, spin: float) -> None:
    q = rot.quat_multiply(rot.quat_from_euler([0, 0, heading]), rot.quat_from_euler([angle, 0, 0]))
    q = rot.quat_multiply(q, rot.quat_from_euler([0, 0, spin]))
    np.testing.assert_allclose(rot.tilt(q), angle, atol=1e-9)


def test_tilt_is_exact_near_level() -> None:
    np.testing.assert_allclose(rot.tilt(rot.quat_from_euler([1e-9, 0, 0])), 1e-9, rtol=1e-6)


@given(quats)
def test_yaw_is_the_heading_of_the_x_axis(q: Array) -> None:
    x = rot.quat_rotate(q, [1, 0, 0])
    if np.hypot(x[0], x[1]) > 1e-3:
        np.testing.assert_allclose(np.exp(1j * rot.yaw(q)), (x[0] + 1j * x[1]) / np.hypot(x[0], x[1]), atol=1e-9)


@given(quats)
def test_order_conversions(q: Array) -> None:
    w, x, y, z = q
    np.testing.assert_array_equal(rot.xyzw_from_wxyz(q), [x, y, z, w])
    np.testing.assert_array_equal(rot.wxyz_from_xyzw(rot.xyzw_from_wxyz(q)), q)


@given(quats)
def test_a_quaternion_and_its_negative_agree(q: Array) -> None:
    for function in (rot.quat_to_matrix, rot.projected_gravity, rot.tilt):
        np.testing.assert_allclose(function(q), function(-q), atol=ATOL)


Function = Callable[..., Array]
BINARY: list[Function] = [rot.quat_multiply]
ON_VECTORS: list[Function] = [rot.quat_rotate, rot.quat_rotate_inverse]
UNARY: list[Function] = [
    rot.quat_conjugate,
    rot.euler_from_quat,
    rot.quat_to_matrix,
    rot.wxyz_from_xyzw,
    rot.xyzw_from_wxyz,
    rot.projected_gravity,
    rot.tilt,
    rot.yaw,
]


@pytest.mark.parametrize("function", UNARY)
def test_batches_are_the_rows_one_by_one(function: Function) -> None:
    q = np.random.default_rng(0).normal(size=(2, 5, 4))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    batched = function(q)
    rows = np.array([[function(row) for row in block] for block in q])
    assert batched.shape == rows.shape
    np.testing.assert_allclose(batched, rows, atol=ATOL)


@pytest.mark.parametrize("function", BINARY + ON_VECTORS)
def test_two_batches_broadcast(function: Function) -> None:
    rng = np.random.default_rng(1)
    q = rng.normal(size=(5, 4))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    width = 4 if function in BINARY else 3
    one = rng.normal(size=width)
    assert function(q, one).shape == (5, width)
    np.testing.assert_allclose(function(q, one), [function(row, one) for row in q], atol=ATOL)
    np.testing.assert_allclose(function(q, one), function(q, np.tile(one, (5, 1))), atol=ATOL)


@pytest.mark.parametrize("function", UNARY)
def test_nan_stays_nan_and_in_its_row(function: Function) -> None:
    q = np.tile([1.0, 0.0, 0.0, 0.0], (3, 1))
    q[1] = np.nan
    result = function(q)
    assert np.isnan(result[1]).all()
    assert np.isfinite(result[[0, 2]]).all()


@pytest.mark.parametrize("element", range(4))
def test_one_nan_component_is_seen_by_the_safety_checks(element: int) -> None:
    q = np.array([1.0, 0.0, 0.0, 0.0])
    q[element] = np.nan
    assert np.isnan(rot.tilt(q))


def test_nothing_is_normalised() -> None:
    twice = np.array([2.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(rot.quat_multiply(twice, [1, 0, 0, 0]), twice)
    np.testing.assert_array_equal(rot.quat_conjugate(twice), twice)


def test_integers_are_taken_and_float32_kept() -> None:
    assert rot.projected_gravity([1, 0, 0, 0]).tolist() == [0.0, 0.0, -1.0]
    level = np.array([1, 0, 0, 0], dtype=np.float32)
    for function in UNARY:
        assert function(level).dtype == np.float32
    assert rot.quat_rotate(level, np.zeros(3, dtype=np.float32)).dtype == np.float32
