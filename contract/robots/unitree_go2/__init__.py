"""Unitree Go2: a 15 kg quadruped with twelve hinge joints."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from contract.robot import Capsule, Foot, ImuMount, Joint, Link, Mirror, Robot, Source

LEGS = ("FL", "FR", "RL", "RR")


class _Limits(TypedDict):
    lower: float
    upper: float
    velocity_limit: float
    effort_limit: float


class _Gains(TypedDict):
    kp: float
    kd: float


# Limits of the URDF. All motors are alike; a further reduction of 1.5 drives the calf.
_HIP: _Limits = {"lower": -1.0472, "upper": 1.0472, "velocity_limit": 30.1, "effort_limit": 23.7}
_FRONT_THIGH: _Limits = {"lower": -1.5708, "upper": 3.4907, "velocity_limit": 30.1, "effort_limit": 23.7}
_REAR_THIGH: _Limits = {"lower": -0.5236, "upper": 4.5379, "velocity_limit": 30.1, "effort_limit": 23.7}
_CALF: _Limits = {"lower": -2.7227, "upper": -0.83776, "velocity_limit": 20.07, "effort_limit": 35.55}
_GAINS: _Gains = {"kp": 25.0, "kd": 0.5}


def _leg(leg: str) -> tuple[Joint, Joint, Joint]:
    """Hip, thigh and calf joint: hips slightly outward, rear thighs further back to hold the base level."""
    front, left = leg[0] == "F", leg[1] == "L"
    return (
        Joint(f"{leg}_hip_joint", default_pos=0.1 if left else -0.1, **_HIP, **_GAINS),
        Joint(
            f"{leg}_thigh_joint",
            default_pos=0.8 if front else 1.0,
            **(_FRONT_THIGH if front else _REAR_THIGH),
            **_GAINS,
        ),
        Joint(f"{leg}_calf_joint", default_pos=-1.5, **_CALF, **_GAINS),
    )


_FOOT = (-0.002, 0.0, -0.213)  # m, in the calf's frame
_LEG_RADIUS = 0.022  # m, of thigh and foot


def _links(leg: str) -> tuple[Link, Link, Link]:
    """As robot.xml has them; tests/contract/test_robot_geometry.py compares."""
    front, left = (1.0 if leg[0] == "F" else -1.0), (1.0 if leg[1] == "L" else -1.0)
    hip, thigh, calf = (f"{leg}_{part}_joint" for part in ("hip", "thigh", "calf"))
    return (
        Link(hip, "", (0.1934 * front, 0.0465 * left, 0.0), (1.0, 0.0, 0.0)),
        Link(thigh, hip, (0.0, 0.0955 * left, 0.0), (0.0, 1.0, 0.0)),
        Link(calf, thigh, (0.0, 0.0, -0.213), (0.0, 1.0, 0.0)),
    )


def _capsules(leg: str) -> tuple[Capsule, Capsule]:
    """The shank is as thick as the foot here, which is its thickest part but for the knee, the thigh's end."""
    return (
        Capsule(f"{leg}_thigh", f"{leg}_thigh_joint", (0.0, 0.0, 0.0), (0.0, 0.0, -0.213), _LEG_RADIUS),
        Capsule(f"{leg}_shank", f"{leg}_calf_joint", (0.0, 0.0, 0.0), _FOOT, _LEG_RADIUS),
    )


# The trunk's box fits into this capsule.
_TRUNK = Capsule("trunk", "", (-0.1881, 0.0, 0.0), (0.1881, 0.0, 0.0), 0.0738)
_HEAD = Capsule("head", "", (0.285, 0.0, 0.0), (0.285, 0.0, 0.0), 0.05)


def _pairs() -> Iterator[tuple[str, str]]:
    """All that can meet. Not listed: parts of one leg, and the thighs and the trunk, whose joints keep them apart."""
    for one, other in itertools.combinations(LEGS, 2):
        for part, other_part in itertools.product(("thigh", "shank"), repeat=2):
            yield f"{one}_{part}", f"{other}_{other_part}"
    for leg in LEGS:
        yield "trunk", f"{leg}_shank"
    for leg in ("FL", "FR"):
        yield "head", f"{leg}_thigh"
        yield "head", f"{leg}_shank"


ROBOT = Robot(
    name="unitree_go2",
    title="Unitree Go2",
    mjcf=Path(__file__).parent / "robot.xml",
    base_body="base",
    joints=tuple(joint for leg in LEGS for joint in _leg(leg)),
    feet=tuple(Foot(leg, f"{leg}_calf", f"{leg}_foot", _LEG_RADIUS, f"{leg}_calf_joint", _FOOT) for leg in LEGS),
    imu=ImuMount(site="imu", body="base", pos=(-0.02557, 0.0, 0.04232), quat=(1.0, 0.0, 0.0, 0.0)),
    # Front feet just touch, rear feet 1 cm above. Under the gains below the legs give way to 0.27 m.
    standing_height=0.3235,
    # Flat on the belly, calves folded under the thighs.
    rest_pose=(0.35, 1.36, -2.65, -0.35, 1.36, -2.65, 0.5, 1.36, -2.65, -0.5, 1.36, -2.65),
    mirror=Mirror(
        joint_permutation=(3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8),
        joint_sign=(-1.0, 1.0, 1.0) * 4,
        foot_permutation=(1, 0, 3, 2),
    ),
    links=tuple(link for leg in LEGS for link in _links(leg)),
    capsules=(_TRUNK, _HEAD, *(capsule for leg in LEGS for capsule in _capsules(leg))),
    capsule_pairs=tuple(_pairs()),
    base_height_minimum=0.16,
    power_limit=3000.0,
    temperature_limit=90.0,
    battery_minimum=0.1,
    foot_force_limit=600.0,
    sources=(
        Source(
            "masses, inertias, link lengths, foot radius, IMU mount, joint position, velocity, torque limits",
            "github.com/unitreerobotics/unitree_ros, robots/go2_description/urdf/go2_description.urdf, "
            "commit 3b6a691e72e94f2bb01551ece843af9bf1f353d6",
        ),
        Source(
            "joint armature and dry friction, foot friction",
            "github.com/google-deepmind/mujoco_menagerie, unitree_go2/go2.xml, "
            "commit 2ffe3e33bbf5785a4c5a2290dd909b7a051845bf",
        ),
        Source(
            "position gains, default pose",
            "github.com/unitreerobotics/unitree_rl_lab, "
            "source/unitree_rl_lab/unitree_rl_lab/assets/robots/unitree.py, "
            "commit 68ed97ab1989ba2e4260e53e336735afc7dcea92",
        ),
        Source(
            "rest pose",
            "github.com/unitreerobotics/unitree_sdk2_python, example/go2/low_level/go2_stand_example.py, "
            "commit 9b05080718804ba05a2f9b9fb1b08011542f1580",
        ),
        Source("power limit", "Unitree, www.unitree.com/go2, table of parameters: maximum working power about 3000 W"),
        Source(
            "motor temperature limit",
            "github.com/unitreerobotics/unitree_actuator_sdk, include/unitreeMotor/include/motor_msg_GO-M8010-6.h, "
            "commit faa33495258eb2082099f5c0f2754548018213ec: protection sets in at 90 degrees Celsius; that motor is "
            "the Go2's kind, for which itself no figure is published",
        ),
        Source(
            "smallest base height, smallest battery charge, largest force on a foot",
            "not published; choices: half of the standing height, a tenth, four times the weight",
        ),
        Source("joint damping 0.1 N m s/rad", "not published; an estimate, to be randomised"),
    ),
)
