"""Known robots, one folder each: `robot.xml` (MJCF) and `ROBOT`, its facts.

What every `robot.xml` promises to the engines:

- It is the robot alone: no ground, no actuators, no sensors.
- The base body hangs on a free joint, or on the world without a joint where `Robot.fixed_base` says so; hinge and
  slide joints follow, depth first, in the order of `Robot.joint_names`.
- A body has one joint at most, with finite limits, and weighs something, unless it is a bolted base. There are no
  springs, tendons and equality constraints, and every geom is a box, sphere, capsule or cylinder, so that other
  formats can say the same.
- Collision geoms are in group 3 with contype 0, conaffinity 1, priority 1. Ground must have contype 1. So the
  robot and the ground collide, the robot never collides with itself, and against ground of priority 0 the
  robot's friction counts.
- Visual geoms are in group 2; they neither collide nor weigh anything.

A user's own robots are folders of the same kind elsewhere: see `contract.own_robots`.
"""

import importlib
import pkgutil

from contract import own_robots
from contract.lookup import unknown
from contract.robot import Robot


def shipped() -> list[str]:
    """Names of the robots that come with Landbridge, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def names() -> list[str]:
    """Names of the known robots, the user's own ones included, sorted."""
    return sorted({*shipped(), *own_robots.found()})


def load(name: str) -> Robot:
    """The robot called `name`; one that comes with Landbridge rather than a user's of the same name.

    Raises:
        UsageError: no such robot, and the message lists the known ones and the closest; or the user's own is broken.
    """
    if name in shipped():
        robot = importlib.import_module(f"{__name__}.{name}").ROBOT
        assert isinstance(robot, Robot)
        return robot
    own = own_robots.found()
    if name not in own:
        raise unknown("robot", name, names())
    return own_robots.load(name, own[name])
