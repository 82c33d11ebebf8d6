"""A robot's facts as the Python code of its folder's `__init__.py`."""

from dataclasses import fields

from contract.robot import Robot


def to_robot_code(robot: Robot, docstring: str) -> str:
    """The code whose `ROBOT` is `robot`, its MJCF in the same folder.

    Every value is written as Python writes it itself, so that a name in someone's file cannot become code.
    """
    lines = [
        repr(docstring),
        "",
        "from pathlib import Path",
        "",
        "from contract.robot import Foot, ImuMount, Joint, Mirror, Robot, Source",
        "",
        "ROBOT = Robot(",
    ]
    for field in fields(robot):
        value = getattr(robot, field.name)
        if field.name == "mjcf":
            lines.append(f"    mjcf=Path(__file__).parent / {robot.mjcf.name!r},")
        elif isinstance(value, tuple) and value and not isinstance(value[0], float):
            lines += [f"    {field.name}=(", *(f"        {item!r}," for item in value), "    ),"]
        else:
            lines.append(f"    {field.name}={value!r},")
    return "\n".join([*lines, ")", ""])
