"""A robot as MJCF with motors and sensors, for MuJoCo's own tools; `robot.xml` is the robot alone."""

import xml.etree.ElementTree as ET

import numpy as np

from contract.robot import Robot

KEYFRAME = "default"


def to_mjcf(robot: Robot, *, floor: bool = False) -> str:
    """The robot as one self-contained MJCF file.

    To the robot come a position actuator for each motor with its gains, force range and control range, sensors for
    joint position, velocity and torque, the IMU's orientation, angular velocity and specific force, and a keyframe of
    the default pose.

    Args:
        robot: the robot.
        floor: put a floor and a light under and over it.
    """
    root = ET.parse(robot.mjcf).getroot()
    actuators, sensors = ET.SubElement(root, "actuator"), ET.SubElement(root, "sensor")
    for joint in robot.joints:
        limited = np.isfinite([joint.lower, joint.upper]).all()
        if not joint.passive:
            actuator = ET.SubElement(actuators, "position", name=joint.name, joint=joint.name)
            actuator.set("kp", _numbers(joint.kp))
            actuator.set("kv", _numbers(joint.kd))
            actuator.set("forcerange", _numbers(-joint.effort_limit, joint.effort_limit))
            if limited:
                actuator.set("ctrlrange", _numbers(joint.lower, joint.upper))
        ET.SubElement(sensors, "jointpos", name=f"{joint.name}_pos", joint=joint.name)
        ET.SubElement(sensors, "jointvel", name=f"{joint.name}_vel", joint=joint.name)
        if not joint.passive:
            ET.SubElement(sensors, "actuatorfrc", name=f"{joint.name}_torque", actuator=joint.name)
    if robot.imu:
        ET.SubElement(sensors, "framequat", name="imu_quat", objtype="site", objname=robot.imu.site)
        ET.SubElement(sensors, "gyro", name="imu_gyro", site=robot.imu.site)
        ET.SubElement(sensors, "accelerometer", name="imu_acc", site=robot.imu.site)
    _add_keyframe(root, robot)
    if floor:
        _add_floor(root)
    ET.indent(root)
    return f"{ET.tostring(root, encoding='unicode')}\n"


def _add_keyframe(root: ET.Element, robot: Robot) -> None:
    base = [] if robot.fixed_base else [0.0, 0.0, robot.standing_height, 1.0, 0.0, 0.0, 0.0]
    targets = [robot.joints[i].default_pos for i in robot.actuated]
    key = ET.SubElement(ET.SubElement(root, "keyframe"), "key", name=KEYFRAME)
    key.set("qpos", _numbers(*base, *robot.default_joint_pos))
    if targets:
        key.set("ctrl", _numbers(*targets))


def _add_floor(root: ET.Element) -> None:
    """Ground that every robot.xml is made for: contype 1, priority 0."""
    world = root.find("worldbody")
    assert world is not None  # MuJoCo reads no robot without one
    ET.SubElement(world, "light", pos="0 0 3", dir="0 0 -1", type="directional")
    ET.SubElement(
        world, "geom", name="floor", type="plane", size="0 0 0.05", contype="1", conaffinity="0", rgba="0.8 0.8 0.8 1"
    )


def _numbers(*values: float) -> str:
    return " ".join(repr(float(value)) for value in values)
