"""Unitree Go2: a 15 kg quadruped with twelve hinge joints."""

from pathlib import Path
from typing import TypedDict

from contract.robot import Foot, ImuMount, Joint, Mirror, Robot, Source

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


ROBOT = Robot(
    name="unitree_go2",
    title="Unitree Go2",
    mjcf=Path(__file__).parent / "robot.xml",
    base_body="base",
    joints=tuple(joint for leg in LEGS for joint in _leg(leg)),
    feet=tuple(Foot(name=leg, body=f"{leg}_calf", geom=f"{leg}_foot", radius=0.022) for leg in LEGS),
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
        Source("joint damping 0.1 N m s/rad", "not published; an estimate, to be randomised"),
    ),
)
