"""What a robot says of its links, feet and capsules is what its MJCF says."""

import dataclasses

import mujoco
import numpy as np
import pytest

from contract import robots
from contract.robot import Capsule, Foot

GO2 = robots.load("unitree_go2")
MODEL = mujoco.MjModel.from_xml_path(str(GO2.mjcf))  # read only


def test_links_are_the_bodies_of_the_model() -> None:
    assert {link.joint for link in GO2.links} == set(GO2.joint_names)
    for link in GO2.links:
        joint = MODEL.joint(link.joint)
        body = MODEL.body(int(joint.bodyid[0]))
        parent = MODEL.body(int(body.parentid[0]))
        named = parent.name if link.parent == "" else MODEL.joint(int(parent.jntadr[0])).name
        assert named == (link.parent or GO2.base_body)
        assert tuple(body.pos) == link.pos
        assert tuple(body.quat) == link.quat
        assert tuple(joint.axis) == link.axis
        assert not joint.pos.any()


def test_feet_are_where_their_geoms_are() -> None:
    for foot in GO2.feet:
        geom = MODEL.geom(foot.geom)
        assert tuple(geom.pos) == foot.pos
        assert geom.size[0] == foot.radius
        assert MODEL.body(int(geom.bodyid[0])).jntadr[0] == MODEL.joint(foot.link).id


def ends(capsule: Capsule) -> np.ndarray:
    return np.array([capsule.start, capsule.end])


def test_capsules_contain_the_collision_geoms() -> None:
    capsules = {capsule.name: capsule for capsule in GO2.capsules}
    for leg in ("FL", "FR", "RL", "RR"):
        thigh, foot = MODEL.geom(f"{leg}_thigh_collision"), MODEL.geom(f"{leg}_foot")
        np.testing.assert_allclose(thigh.pos, ends(capsules[f"{leg}_thigh"]).mean(axis=0), atol=1e-12)
        assert thigh.size[0] == capsules[f"{leg}_thigh"].radius
        assert 2 * thigh.size[1] == pytest.approx(np.linalg.norm(np.diff(ends(capsules[f"{leg}_thigh"]), axis=0)))
        assert tuple(foot.pos) == capsules[f"{leg}_shank"].end
        assert foot.size[0] == capsules[f"{leg}_shank"].radius
    box, trunk = MODEL.geom("base_box"), capsules["trunk"]
    assert not box.pos.any()
    assert np.hypot(box.size[1], box.size[2]) <= trunk.radius
    assert (trunk.start[0], trunk.end[0]) == (-box.size[0], box.size[0])
    head = MODEL.geom("head")
    assert tuple(head.pos) == capsules["head"].start == capsules["head"].end
    assert head.size[0] == capsules["head"].radius


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"links": GO2.links[3:]}, "capsule FL_thigh: links has no link 'FL_thigh_joint'"),
        ({"capsule_pairs": (("trunk", "tail"),)}, "capsule_pairs: there is no capsule 'tail'"),
        ({"power_limit": 0.0}, "power_limit: must be above 0 and below inf, got 0.0"),
        ({"temperature_limit": float("nan")}, "temperature_limit: must be above 0 and below inf, got nan"),
        ({"foot_force_limit": -1.0}, "foot_force_limit: must be above 0"),
        ({"battery_minimum": 1.0}, "battery_minimum: must be above 0 and below 1, got 1.0"),
        ({"base_height_minimum": 0.3235}, "base_height_minimum: must be above 0 and below 0.3235"),
        ({"feet": (Foot("paw", "paw", "paw", 0.02, "paw_joint"),)}, "foot paw: links has no link 'paw_joint'"),
    ],
)
def test_facts_that_cannot_be_are_refused(changes: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        dataclasses.replace(GO2, **changes)


def test_a_leg_is_what_hangs_from_the_base_and_carries_one_foot() -> None:
    assert GO2.legs == tuple(leg for leg in ("FL", "FR", "RL", "RR") for _ in range(3))
    assert robots.load("cartpole").legs == ("", "")
    # A joint that carries two feet is on neither's leg: here the left front hip hangs from the right one.
    links = (
        dataclasses.replace(link, parent="FR_hip_joint") if link.joint == "FL_hip_joint" else link for link in GO2.links
    )
    assert dataclasses.replace(GO2, links=tuple(links)).legs == ("FL", "FL", "FL", "", "FR", "FR", *GO2.legs[6:])
