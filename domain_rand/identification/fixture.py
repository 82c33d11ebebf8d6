"""A robot that hangs: its base bolted to the world, its legs in the air."""

from dataclasses import replace
from pathlib import Path

import mujoco

from contract.robot import Robot

_CLEARANCE = 2.0  # times the standing height, of the base above the ground


def hung(robot: Robot, folder: Path) -> Robot:
    """The same robot with a fixed base; its MJCF is written to `folder`."""
    if robot.fixed_base:
        return robot
    spec = mujoco.MjSpec.from_file(str(robot.mjcf))
    base = spec.body(robot.base_body)
    for joint in list(base.joints):
        spec.delete(joint)
    base.pos = [0.0, 0.0, _CLEARANCE * robot.standing_height]
    spec.compile()  # writes out only what has been compiled
    path = folder / f"{robot.name}_hung.xml"
    path.write_text(spec.to_xml(), encoding="utf-8")
    return replace(robot, mjcf=path, fixed_base=True)
