"""The live view shows what is closest to its limit, and what is no terminal gets plain lines."""

import io

import pytest
from rich.console import Console

from deploy_robot import figures
from deploy_robot.course import WALKING, Status
from deploy_robot.figures import margins, signals, used
from deploy_robot.session_display import live_status, view
from deploy_robot.supervisor import Mode
from tests.supervised_robot import SupervisedRobot, rolled


def rendered(status: Status, width: int = 140) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(view(status, 20.0))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def reports(robot: SupervisedRobot) -> dict[str, dict[str, str]]:
    reading = robot.supervisor.reading
    assert reading is not None
    return {
        "robot_node: margins": margins(reading, robot.supervisor.thresholds),
        "robot_node: signals": signals(reading),
        "robot_node: loop": {
            "period_p50_ms": "5.00",
            "period_p99_ms": "5.20",
            "period_max_ms": "6.10",
            "refused commands": "0",
            "imu lost messages": "3",
        },
    }


def test_limits_signals_and_timing_are_shown_the_closest_limit_first() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    robot.imu_quat = rolled(0.9)  # of 1 rad
    robot.run(0.1)
    lines = rendered(Status(WALKING, "active", 3.0, (0.5, 0.0, 0.0), 0, (), reports(robot)))
    assert "3.0 / 20 s" in lines[0]
    first = next(i for i, line in enumerate(lines) if "figure / limit" in line) + 1
    assert lines[first].split()[:2] == ["tilt", "90%"]
    assert any("FL_hip_joint" in line and "N m" in line for line in lines)
    (loop,) = (line for line in lines if line.startswith("robot_node"))
    assert "p50 5.00 ms, p99 5.20 ms, max 6.10 ms" in loop
    assert "imu lost messages: 3" in loop
    assert "refused" not in loop


def test_a_status_without_reports_is_one_line() -> None:
    assert len(rendered(Status("standing up", "standing_up"))) == 1


def test_margins_are_of_every_row_that_can_be_judged() -> None:
    robot = SupervisedRobot()
    robot.run(0.1)
    reading = robot.supervisor.reading
    assert reading is not None
    texts = margins(reading, robot.supervisor.thresholds)
    judged = {row.constraint.name for row in robot.supervisor._rows if row.judged}
    assert set(texts) == judged


@pytest.mark.parametrize(
    ("text", "share"),
    [("0.5 / 1 rad", 0.5), ("0 / 0 requests", 0.0), ("1 / 0 requests", float("inf")), ("-2 / 4 s", -0.5)],
)
def test_the_share_of_a_limit(text: str, share: float) -> None:
    assert used(text) == share


def test_a_nan_comes_first() -> None:
    status = Status(WALKING, diagnostics={f"robot_node: {figures.MARGINS}": {"a": "0.9 / 1 rad", "b": "nan / 1 rad"}})
    lines = rendered(status)
    first = next(i for i, line in enumerate(lines) if "figure / limit" in line) + 1
    assert lines[first].split()[:2] == ["b", "over"]


def test_what_is_no_terminal_gets_one_plain_line_a_phase() -> None:
    console = Console(file=io.StringIO())
    robot = SupervisedRobot()
    robot.run(0.1)
    with live_status(console, 20.0) as show:
        for _ in range(3):
            show(Status("standing up", "standing_up", diagnostics=reports(robot)))
        show(Status(WALKING, "active"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "standing up\nwalking\n"
