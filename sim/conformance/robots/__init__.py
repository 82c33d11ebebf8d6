"""Robots that are simple enough for their motion to be written down. Their constants are those of the XML beside."""

from pathlib import Path
from typing import Any

from contract import robots
from contract.robot import Foot, Joint, Robot, Source

_SOURCES = (Source("everything", "invented for the conformance suite"),)


def _robot(name: str, title: str, joints: tuple[Joint, ...], **facts: Any) -> Robot:
    path = Path(__file__).with_name(f"{name}.xml")
    return Robot(name, title, path, base_body="base", joints=joints, sources=_SOURCES, **facts)


def _joint(name: str, *, lower: float = -50.0, upper: float = 50.0, **facts: Any) -> Joint:
    passive = {"effort_limit": 0.0, "kp": 0.0, "kd": 0.0}
    return Joint(name, lower, upper, velocity_limit=100.0, default_pos=0.0, **{**passive, **facts})


_ROTOR = _joint("rotor", effort_limit=1.0, kp=0.2, kd=0.01)

BLOCK_SIZE = (0.15, 0.15, 0.05)  # m, half edges
BLOCK_MASSES = (1.9, 0.1)  # kg, base and rotor
BLOCK_CENTRE = (0.02, 0.0, 0.0)  # m, of the mass of the base, in its frame
BLOCK_INERTIA = (0.02, 0.021, 0.03)  # kg m^2, of the base about that
BLOCK_ROTOR_INERTIA = (0.0001, 0.0001, 0.00015)  # kg m^2
BLOCK_FRICTION = 0.5
BLOCK = _robot(
    "block", "a box", (_ROTOR,), feet=(Foot("sole", "base", "base_box", BLOCK_SIZE[2]),), standing_height=BLOCK_SIZE[2]
)

BALL_RADIUS = 0.05  # m
BALL = _robot("ball", "a ball", (_ROTOR,), standing_height=BALL_RADIUS)

RIG_POS = (0.3, -0.2, 1.0)  # m
RIG_QUAT = (0.5**0.5, 0.0, 0.0, 0.5**0.5)
RIG_INERTIA = (0.1, 0.02, 0.0275, 0.5)  # kg m^2, of the slider kg
RIG_WEIGHT = (0.0, 0.0, 0.4 * 0.25, 0.0)  # kg m: times g sin(q), the torque that pulls a joint to zero
RIG = _robot(
    "rig",
    "four independent joints",
    (
        _joint("motor", effort_limit=2.0, kp=10.0, kd=0.4),
        _joint("wheel"),
        _joint("pendulum"),
        _joint("slider", lower=-5.0, upper=5.0, effort_limit=8.0, kp=50.0, kd=2.0, kind="slide"),
    ),
    standing_height=RIG_POS[2],
    fixed_base=True,
)

LINKS = (0.3, 0.2)  # m, upper and lower
SHOULDER = 0.1  # m, to either side
_ARM = {"effort_limit": 20.0, "kp": 40.0, "kd": 2.0}
TWO_ARMS = _robot(
    "two_arms",
    "two planar arms",
    (
        _joint("left_shoulder", lower=-1.6, upper=1.5, **_ARM),
        _joint("left_elbow", lower=-1.8, upper=1.7, **_ARM),
        _joint("right_shoulder", lower=-1.5, upper=1.6, **_ARM),
        _joint("right_elbow", lower=-1.7, upper=1.8, **_ARM),
    ),
    feet=tuple(Foot(f"{side}_hand", f"{side}_lower", f"{side}_hand", 0.04) for side in ("left", "right")),
    standing_height=1.0,
    fixed_base=True,
)

QUADRUPED = robots.load("unitree_go2")
