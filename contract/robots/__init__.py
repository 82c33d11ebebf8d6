"""Known robots, one folder each: `robot.xml` (MJCF) and `ROBOT`, its facts.

What every `robot.xml` promises to the engines:

- It is the robot alone: no ground, no actuators, no sensors.
- The base body hangs on a free joint; hinge joints follow, depth first, in the order of `Robot.joint_names`.
- Collision geoms are in group 3 with contype 0, conaffinity 1, priority 1. Ground must have contype 1. So the
  robot and the ground collide, the robot never collides with itself, and against ground of priority 0 the
  robot's friction counts.
- Visual geoms are in group 2; they neither collide nor weigh anything.
"""

import importlib
import pkgutil

from contract.lookup import unknown
from contract.robot import Robot


def names() -> list[str]:
    """Names of the known robots, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def load(name: str) -> Robot:
    """The robot called `name`.

    Raises:
        UsageError: no such robot; the message lists the known ones and the closest.
    """
    known = names()
    if name not in known:
        raise unknown("robot", name, known)
    robot = importlib.import_module(f"{__name__}.{name}").ROBOT
    assert isinstance(robot, Robot)
    return robot
