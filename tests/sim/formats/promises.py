"""What every robot.xml promises, as one check for robots that were imported."""

import mujoco
import numpy as np

from contract.robot import Robot
from sim.formats.mujoco_links import COLLISION_GROUP, VISUAL_GROUP


def assert_keeps_the_promises(robot: Robot) -> mujoco.MjModel:
    """Check a robot folder against the list in `contract.robots`; gives the compiled robot.xml."""
    model = mujoco.MjModel.from_xml_path(str(robot.mjcf))
    assert model.nu == model.nsensor == model.neq == model.ntendon == model.nmesh == 0
    assert not (model.geom_bodyid == 0).any()
    base = model.body(robot.base_body)
    assert base.parentid[0] == 0
    first = 0 if robot.fixed_base else 1
    if robot.fixed_base:
        assert base.jntnum[0] == 0
    else:
        assert model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
        assert model.jnt_bodyid[0] == base.id
    assert tuple(model.joint(i).name for i in range(first, model.njnt)) == robot.joint_names
    limits = np.stack([robot.joint_lower, robot.joint_upper], axis=1)
    np.testing.assert_array_equal(model.jnt_range[first:], limits)
    assert model.jnt_limited[first:].all()
    assert (robot.default_joint_pos >= robot.joint_lower).all()
    assert (robot.default_joint_pos <= robot.joint_upper).all()

    collision, visual = model.geom_group == COLLISION_GROUP, model.geom_group == VISUAL_GROUP
    assert (collision | visual).all()
    assert (model.geom_contype == 0).all()
    assert (model.geom_conaffinity == collision).all()
    assert (model.geom_priority[collision] == 1).all()
    names = [model.geom(i).name for i in np.flatnonzero(collision)]
    assert all(names) and len(set(names)) == len(names)
    assert visual.any() or not collision.any()

    for foot in robot.feet:
        geom = model.geom(foot.geom)
        assert model.body(geom.bodyid[0]).name == foot.body
        assert collision[geom.id]
        assert foot.radius > 0.0
    if robot.imu:
        site = model.site(robot.imu.site)
        assert model.body(site.bodyid[0]).name == robot.imu.body
        np.testing.assert_array_equal(site.pos, robot.imu.pos)
        np.testing.assert_allclose(site.quat, robot.imu.quat, atol=1e-12)
    assert all(source.what and source.where for source in robot.sources)
    return model
