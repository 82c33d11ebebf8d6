"""What hidden parameters change in the emulated robot's body, and what follows from them."""

import mujoco
import numpy as np
import pytest

import contract.robots
from contract.errors import LandbridgeError
from hil_tests.robot_physics import HiddenParameters, RobotPhysics

ROBOT = contract.robots.load("unitree_go2")
SHIFTED = HiddenParameters(base_mass=1.2, base_com=(0.01, -0.02, -0.03), friction=0.5)


def base_of(model: mujoco.MjModel) -> int:
    return int(model.body(ROBOT.base_body).id)


def test_mass_inertia_and_centre_of_mass_are_those_asked_for() -> None:
    plain, shifted = RobotPhysics(ROBOT, HiddenParameters()).model, RobotPhysics(ROBOT, SHIFTED).model
    base = base_of(plain)
    assert shifted.body_mass[base] == pytest.approx(1.2 * plain.body_mass[base])
    np.testing.assert_allclose(shifted.body_inertia[base], 1.2 * plain.body_inertia[base])
    np.testing.assert_allclose(shifted.body_ipos[base] - plain.body_ipos[base], SHIFTED.base_com)
    others = np.arange(plain.nbody) != base
    np.testing.assert_array_equal(shifted.body_mass[others], plain.body_mass[others])
    assert (shifted.geom_friction[:, 0] == 0.5).all()


def test_contacts_are_looked_for_where_the_geoms_are() -> None:
    """MuJoCo's boxes around a body's geoms are in its frame of inertia: they must move against the centre of mass."""
    plain, shifted = RobotPhysics(ROBOT, HiddenParameters()).model, RobotPhysics(ROBOT, SHIFTED).model
    base, centres = base_of(plain), []
    for model in (plain, shifted):
        boxes = slice(model.body_bvhadr[base], model.body_bvhadr[base] + model.body_bvhnum[base])
        axes = np.empty(9)
        mujoco.mju_quat2Mat(axes, model.body_iquat[base])
        centres.append(model.body_ipos[base] + model.bvh_aabb[boxes, :3] @ axes.reshape(3, 3).T)
    np.testing.assert_allclose(centres[0], centres[1], atol=1e-9)


def test_a_robot_without_an_imu_cannot_be_emulated() -> None:
    with pytest.raises(LandbridgeError, match="cartpole has none"):
        RobotPhysics(contract.robots.load("cartpole"), HiddenParameters())
