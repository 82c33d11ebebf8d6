"""PyBullet's ground is the description's: rays hit it at the same heights, and feet slide on it as on a plane."""

import numpy as np
import pytest

pybullet = pytest.importorskip("pybullet")

from sim.engines.pybullet.ground import add_ground
from sim.terrains import Boxes, Flat, Rough, Slope, Stairs
from sim.terrains.shapes import BoxShape, Ground, HeightFieldShape


@pytest.fixture
def client():
    connected = pybullet.connect(pybullet.DIRECT)
    yield connected
    pybullet.disconnect(connected)


def _lopsided():
    """Twisted cells, whose diagonal shows, in a field that is neither square nor centred."""
    heights = np.random.default_rng(3).uniform(-0.5, 0.5, (9, 6))
    return Ground(fields=(HeightFieldShape(heights, 0.25, (-0.3, 0.4)),))


GROUNDS = {
    "flat": Flat().ground(),
    "slope": Slope(0.3).ground(),
    "downhill": Slope(-0.6).ground(),
    "stairs": Stairs(0.12).ground(),
    "boxes": Boxes(0.1, seed=4).ground(),
    "rough": Rough(0.08, seed=2, size=6.0).ground(),
    "lopsided": _lopsided(),
}


def _heights(client, x, y):
    """Of what rays from above hit first; -inf where there is nothing."""
    above, below = np.full_like(x, 20.0), np.full_like(x, -20.0)
    start, end = np.stack([x, y, above], 1).tolist(), np.stack([x, y, below], 1).tolist()
    hits = pybullet.rayTestBatch(start, end, physicsClientId=client)
    return np.array([hit[3][2] if hit[0] >= 0 else -np.inf for hit in hits])


@pytest.mark.parametrize("name", sorted(GROUNDS))
def test_rays_hit_the_heights_of_the_description(client, name):
    ground = GROUNDS[name]
    add_ground(client, ground)
    x, y = np.random.default_rng(0).uniform(-2.9, 2.9, (2, 1000))
    expected = ground.height(x, y)
    np.testing.assert_allclose(_heights(client, x, y), expected, atol=1e-6)
    assert np.isfinite(expected).sum() > 50


def test_a_field_too_large_for_one_mesh_has_no_gap_at_the_seams(client):
    rows, columns, spacing = 700, 101, 0.05
    heights = 0.1 * np.sin(np.arange(rows))[:, None] * np.ones(columns)
    ground = Ground(fields=(HeightFieldShape(heights, spacing, (0.0, 0.0)),))
    assert len(add_ground(client, ground)) == 2
    seam = spacing * (60_000 // (columns - 1))
    y = np.linspace(seam - 0.2, seam + 0.2, 401)
    x = np.full_like(y, 1.23)
    np.testing.assert_allclose(_heights(client, x, y), ground.height(x, y), atol=1e-6)


@pytest.mark.parametrize(
    "ground",
    [
        Flat().ground(),
        Ground(boxes=(BoxShape((0.0, 0.0, -0.5), (5.0, 5.0, 0.5)),)),
        Ground(fields=(HeightFieldShape(np.zeros((101, 101)), 0.1, (-5.0, -5.0)),)),
    ],
    ids=["plane", "box", "field"],
)
def test_a_foot_slides_with_the_friction_of_the_robot_and_over_the_seams_of_triangles(client, ground):
    """It stops after v^2 / (2 mu g), and never leaves the ground."""
    radius, friction, speed, gravity = 0.022, 0.5, 2.0, 9.81
    add_ground(client, ground)
    pybullet.setGravity(0.0, 0.0, -gravity, physicsClientId=client)
    pybullet.setTimeStep(0.0025, physicsClientId=client)
    shape = pybullet.createCollisionShape(pybullet.GEOM_SPHERE, radius=radius, physicsClientId=client)
    foot = pybullet.createMultiBody(1.0, shape, basePosition=(-0.7, 0.013, radius), physicsClientId=client)
    never_rolls = {"localInertiaDiagonal": (1e6, 1e6, 1e6), "linearDamping": 0.0, "lateralFriction": friction}
    pybullet.changeDynamics(foot, -1, physicsClientId=client, **never_rolls)
    heading = np.array([np.cos(0.3), np.sin(0.3), 0.0])
    pybullet.resetBaseVelocity(foot, (speed * heading).tolist(), physicsClientId=client)
    path = []
    for _ in range(250):
        pybullet.stepSimulation(physicsClientId=client)
        path.append(pybullet.getBasePositionAndOrientation(foot, physicsClientId=client)[0])
    path = np.array(path)
    assert np.abs(path[:, 2] - radius).max() < 1e-4
    gone = np.linalg.norm(path[-1] - [-0.7, 0.013, path[-1, 2]])
    assert gone == pytest.approx(speed**2 / (2 * friction * gravity), rel=0.02)
