"""Terrain: what descriptions say, and that MuJoCo's ground is as high, seen by rays. Balls feel it in every engine.

The latter are laws of `sim.conformance`.
"""

import dataclasses
import math

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.conformance.robots import BALL, BALL_RADIUS
from sim.conformance.terrain import TERRAINS, touching_height
from sim.engines.mujoco_model import build_model
from sim.terrains import FLAT, Boxes, Rough, Slope, Stairs, ground_under, spawn_height
from sim.terrains.shapes import BoxShape, Ground, HeightFieldShape, PlaneShape


def heights(terrain, *points):
    x, y = np.array(points, dtype=float).T
    return terrain.ground().height(x, y)


def circle(radius, count=400, seed=0):
    """Points within `radius` m of the origin."""
    generator = np.random.default_rng(seed)
    angle, distance = generator.uniform(0, 2 * math.pi, count), radius * np.sqrt(generator.uniform(0, 1, count))
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


# -- descriptions -----------------------------------------------------------------------------------------------


def test_flat_ground_is_at_zero_everywhere():
    np.testing.assert_array_equal(heights(FLAT, (0, 0), (1e3, -1e3)), 0.0)


@given(angle=st.floats(-0.78, 0.78), x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_a_slope_rises_along_x_by_its_angle(angle, x, y):
    np.testing.assert_allclose(heights(Slope(angle), (x, y)), math.tan(angle) * x, atol=1e-9)


def test_stairs_rise_ahead_and_fall_behind():
    stairs = Stairs(rise=0.1, run=0.3, steps=3, clear=1.0)
    ahead = heights(stairs, (0, 0), (0.99, 3), (1.01, 0), (1.29, -2), (1.31, 0), (1.59, 0), (1.61, 0), (9.0, 0))
    np.testing.assert_allclose(ahead, [0, 0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3], atol=1e-12)
    behind = heights(stairs, (-0.99, 0), (-1.01, 3), (-1.29, 0), (-1.31, 0), (-1.61, -2), (-9.0, 0))
    np.testing.assert_allclose(behind, [0, -0.1, -0.1, -0.2, -0.3, -0.3], atol=1e-12)
    assert heights(stairs, (0, 10.1)) == -math.inf


def test_the_last_landing_of_narrow_stairs_is_no_shorter_than_a_step():
    assert heights(Stairs(rise=0.1, run=0.5, steps=1, clear=1.0, width=0.4), (1.45, 0)) == pytest.approx(0.1)


@given(x=st.floats(-3, 3) | st.integers(-10, 10).map(lambda i: 0.1 * i), y=st.floats(-9, 9))
def test_stairs_have_ground_below_every_step(x, y):
    """No box ends above another's bottom: there is no gap to look into."""
    boxes = Stairs(rise=0.17, steps=4).ground().boxes
    bottoms = {round(box.centre[2] - box.half_size[2], 9) for box in boxes}
    assert len(bottoms) == 1
    assert min(box.top for box in boxes) > bottoms.pop()
    assert math.isfinite(heights(Stairs(rise=0.17, steps=4), (x, y))[0])


@pytest.mark.parametrize("seed", range(3))
def test_rough_ground_keeps_within_its_amplitude_and_reaches_it(seed):
    field = Rough(amplitude=0.12, seed=seed).ground().fields[0]
    assert np.abs(field.heights).max() <= 0.12
    assert np.abs(field.heights).max() > 0.1  # the highest of all waves may have been near the origin


def test_rough_ground_is_centred_and_as_large_as_it_says():
    ground = Rough(amplitude=0.1, size=4.0, spacing=0.1).ground()
    assert np.isfinite(ground.height(np.array([-2.0, 2.0, 0.0]) * (1 - 1e-12), np.zeros(3))).all()
    assert (ground.height(np.array([-2.001, 2.001]), np.zeros(2)) == -math.inf).all()


@pytest.mark.parametrize("terrain", [Rough(amplitude=0.2, seed=5), Boxes(max_height=0.2, seed=5)], ids=type)
def test_a_seed_gives_the_same_ground_each_time_and_another_another(terrain):
    points = circle(5.0)
    np.testing.assert_array_equal(heights(terrain, *points), heights(terrain, *points))
    other = type(terrain)(0.2, seed=6)
    assert (heights(terrain, *points) != heights(other, *points)).mean() > 0.05


def test_boxes_stand_on_a_plane_and_are_as_high_as_they_say():
    ground = Boxes(max_height=0.3, seed=1, count=40).ground()
    tops = np.array([box.top for box in ground.boxes])
    assert len(tops) == 40
    assert (tops >= 0.06).all()
    assert (tops <= 0.3).all()
    assert ground.plane == PlaneShape()
    assert Boxes(max_height=0.3, count=0).ground().boxes == ()


@pytest.mark.parametrize(
    "terrain",
    [
        FLAT,
        Stairs(rise=0.2, clear=0.7),
        Rough(amplitude=0.3, seed=2, clear=0.7),
        Rough(amplitude=0.3, seed=2, clear=0.7, spacing=0.3),
        Boxes(max_height=0.3, seed=2, count=200, clear=0.7),
    ],
    ids=type,
)
def test_around_the_origin_the_ground_is_level(terrain):
    np.testing.assert_array_equal(heights(terrain, *circle(0.7)), 0.0)
    assert spawn_height(terrain) == 0.0


def test_a_robot_spawns_above_the_highest_ground_under_it():
    assert spawn_height(Slope(0.3)) == pytest.approx(0.5 * math.tan(0.3))
    assert spawn_height(Slope(-0.3)) == pytest.approx(0.5 * math.tan(0.3))
    assert spawn_height(Stairs(rise=0.2, clear=0.3)) == pytest.approx(0.2)
    close = Boxes(max_height=0.3, seed=3, count=300, clear=0.1)
    assert spawn_height(close) == pytest.approx(heights(close, *circle(0.5, 20000)).max(), abs=0.02)


def test_ground_is_found_under_robots_elsewhere():
    places = np.array([[0.0, 0.0], [1.0, -2.0], [-1.0, 3.0]])
    found = ground_under(Slope(0.3).ground(), places)
    np.testing.assert_allclose(found, math.tan(0.3) * (places[:, 0] + 0.5))
    rough = Rough(amplitude=0.2, size=6.0)
    centre = heights(rough, *(places[1] + circle(0.5, 20000)))
    assert ground_under(rough.ground(), places)[1] == pytest.approx(centre.max(), abs=0.02)
    assert np.isneginf(ground_under(rough.ground(), np.array([[2.8, 0.0]]))).all()


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Slope(1.0), "Slope.angle"),
        (lambda: Slope(math.nan), "Slope.angle"),
        (lambda: Stairs(rise=0.0), "Stairs.rise"),
        (lambda: Stairs(rise=0.1, run=-0.3), "Stairs.run"),
        (lambda: Stairs(rise=0.1, clear=math.inf), "Stairs.clear"),
        (lambda: Stairs(rise=0.1, width=0.0), "Stairs.width"),
        (lambda: Stairs(rise=0.1, steps=0), "Stairs.steps"),
        (lambda: Rough(amplitude=-0.1), "Rough.amplitude"),
        (lambda: Rough(amplitude=math.nan), "Rough.amplitude"),
        (lambda: Rough(amplitude=0.1, wavelength=0.0), "Rough.wavelength"),
        (lambda: Rough(amplitude=0.1, size=0.05), "Rough.spacing"),
        (lambda: Rough(amplitude=0.1, clear=0.0), "Rough.clear"),
        (lambda: Rough(amplitude=0.1, seed=-1), "Rough.seed"),
        (lambda: Boxes(max_height=0.0), "Boxes.max_height"),
        (lambda: Boxes(max_height=0.1, edge=math.inf), "Boxes.edge"),
        (lambda: Boxes(max_height=0.1, count=-1), "Boxes.count"),
        (lambda: Boxes(max_height=0.1, seed=-1), "Boxes.seed"),
        (lambda: Boxes(max_height=0.1, size=2.5), "Boxes.size"),
    ],
)
def test_a_number_that_makes_no_ground_is_refused_by_name(make, field):
    with pytest.raises(ValueError, match=f"^{field}: must be .*, got "):
        make()


# -- shapes -----------------------------------------------------------------------------------------------------


FIELD = HeightFieldShape(np.random.default_rng(7).uniform(-1, 1, (4, 6)), 0.5, (-1.0, 2.0))


def test_a_height_field_goes_through_its_points_rows_along_y():
    rows, columns = FIELD.heights.shape
    x, y = np.meshgrid(-1.0 + 0.5 * np.arange(columns), 2.0 + 0.5 * np.arange(rows))
    np.testing.assert_allclose(FIELD.height(x, y), FIELD.heights, atol=1e-12)


@given(triangle=st.integers(0, 29), a=st.floats(0.001, 1), b=st.floats(0.001, 1), c=st.floats(0.001, 1))
def test_the_height_within_a_triangle_is_that_of_its_plane(triangle, a, b, c):
    vertices, faces = FIELD.triangles()
    assert len(faces) == 30
    corners = vertices[faces[triangle]]
    x, y, z = np.array([a, b, c]) / (a + b + c) @ corners
    assert FIELD.height(x, y) == pytest.approx(z, abs=1e-9)


def test_triangles_face_up_and_cover_the_field_once():
    vertices, faces = FIELD.triangles()
    first, second, third = (vertices[faces[:, i]][:, :2] for i in range(3))
    area = 0.5 * np.cross(np.c_[second - first, np.zeros(30)], np.c_[third - first, np.zeros(30)])[:, 2]
    assert (area > 0).all()
    assert area.sum() == pytest.approx(5 * 0.5 * 3 * 0.5)


def test_cells_are_split_from_least_to_greatest_x_and_y():
    ridge = HeightFieldShape(np.array([[1.0, 0.0], [0.0, 1.0]]), 1.0, (0.0, 0.0))
    assert ridge.height(np.array(0.5), np.array(0.5)) == 1.0


def test_beside_a_shape_there_is_no_ground():
    box = BoxShape((1.0, 2.0, 0.5), (0.3, 0.2, 0.5))
    np.testing.assert_array_equal(box.height(np.array([1.3, 1.31]), np.array([2.2, 2.0])), [1.0, -math.inf])
    np.testing.assert_array_equal(FIELD.height(np.array([-1.01, 1.51]), np.array([2.5, 2.5])), -math.inf)
    assert Ground().height(np.array(0.0), np.array(0.0)) == -math.inf


def test_the_highest_shape_counts():
    ground = Ground(PlaneShape(), (BoxShape((0, 0, 0.1), (1, 1, 0.1)), BoxShape((0, 0, 0.2), (0.5, 0.5, 0.1))))
    np.testing.assert_allclose(ground.height(np.array([0.0, 0.7, 2.0]), 0.0), [0.3, 0.2, 0.0])


@pytest.mark.parametrize("name", sorted(TERRAINS))
def test_a_small_ball_touches_where_the_ground_is(name):
    """`touching_height`, by which the laws judge engines, tends to the height; only steps lift the ball beside them."""
    ground = TERRAINS[name].ground()
    x, y = circle(2.0, 60).T
    level = touching_height(ground, x, y, 1e-5) - ground.height(x, y)
    assert (np.abs(level - 1e-5) < 3e-5).mean() > 0.95
    assert (touching_height(ground, x, y, BALL_RADIUS) >= ground.height(x, y) + BALL_RADIUS - 1e-6).all()


# -- MuJoCo -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "terrain",
    [*TERRAINS.values(), Slope(-0.6), Rough(amplitude=0.0), Rough(amplitude=0.3, spacing=0.35, seed=9)],
    ids=str,
)
def test_rays_find_the_ground_of_mujoco_where_the_description_puts_it(terrain):
    model = build_model(BALL, 0.001, terrain=terrain).model
    data = mujoco.MjData(model)
    data.qpos[2] = 1000.0  # out of the way
    mujoco.mj_forward(model, data)
    x, y = circle(2.4, 300).T
    expected = terrain.ground().height(x, y)
    distance = np.array([_ray(model, data, *point) for point in zip(x, y, strict=True)])
    np.testing.assert_allclose(10.0 - distance, expected, atol=1e-6)


def _ray(model, data, x, y):
    """Distance to the ground from 10 m above, straight down."""
    hit = np.zeros(1, dtype=np.int32)
    return mujoco.mj_ray(model, data, np.array([x, y, 10.0]), np.array([0.0, 0.0, -1.0]), None, 1, -1, hit)


def test_ground_is_not_changed_by_a_robots_own_defaults(tmp_path):
    """Collision geoms are in group 3 and may say so, with a margin, for all geoms of their file."""
    text = BALL.mjcf.read_text()
    spoilt = text.replace("<worldbody>", '<default><geom group="3" margin="0.1" gap="0.05"/></default><worldbody>', 1)
    (tmp_path / "robot.xml").write_text(spoilt)
    built = build_model(dataclasses.replace(BALL, mjcf=tmp_path / "robot.xml"), 0.001)
    assert built.contact_geoms == ("base_ball",)
    assert built.model.geom("floor").margin == 0.0
