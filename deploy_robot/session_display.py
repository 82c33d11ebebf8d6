"""How a session looks in a terminal: one live line while it runs, a table of figures at its end."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy_robot.course import WALKING, Status
from deploy_robot.session_summary import Percentiles, Summary

_STYLE = {"active": "green", "hold": "yellow", "damp": "red", "stopped": "bold red"}


@contextlib.contextmanager
def live_status(console: Console, seconds: float) -> Iterator[Callable[[Status], None]]:
    """A function that shows a status: on a terminal in one line that changes, else a line for each phase.

    Args:
        seconds: that the policy shall drive.
    """
    if not console.is_terminal:
        phases: list[str] = []

        def print_phase(status: Status) -> None:
            if status.phase not in phases:
                phases.append(status.phase)
                console.print(status.phase)

        yield print_phase
        return
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        yield lambda status: live.update(status_line(status, seconds))


def status_line(status: Status, seconds: float) -> Text:
    """Phase, mode, time, command and trips in one line."""
    line = Text(f"{status.phase:<18}")
    if status.mode:
        line.append(f" {status.mode:<12}", _STYLE.get(status.mode, "cyan"))
    if status.phase == WALKING:
        vx, vy, yaw_rate = status.command
        line.append(f" {status.elapsed:5.1f} / {seconds:g} s  command {vx:+.2f} {vy:+.2f} m/s {yaw_rate:+.2f} rad/s")
    if status.trips:
        line.append(f"  {status.trips} trip{'s' if status.trips > 1 else ''}", "red")
    for cause in status.causes[:1]:
        line.append(f"  {cause}", "red")
    return line


def print_summary(console: Console, summary: Summary) -> None:
    """The figures of a session, and every trip."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in _rows(summary):
        table.add_row(name, value)
    console.print(table)
    for trip in summary.trips:
        console.print(Text(f"{trip['time']:8.2f} s  {trip['reaction']:<5} {trip['message']}"), soft_wrap=True)


def _rows(summary: Summary) -> Iterator[tuple[str, str]]:
    vx, vy, yaw_rate = summary.command
    yield "command", f"{vx:+.2f} {vy:+.2f} m/s, {yaw_rate:+.2f} rad/s, for {summary.seconds:.1f} s"
    if summary.motion is not None:
        yield "distance walked", f"{summary.motion.distance:.2f} m"
        yield "tracking error", _figure(summary.motion.tracking_error, "m/s")
        yield "yaw rate error", _figure(summary.motion.yaw_rate_error, "rad/s")
        yield "falls", str(summary.motion.falls)
    yield "robot_node loop", _timing(summary.robot_loop)
    yield "policy_node loop", _timing(summary.policy_loop)
    yield "sensor to command", _timing(summary.sensor_to_command)
    if summary.real_time_factor is not None:
        yield "emulated robot", f"{summary.real_time_factor:.3f} of real time"
    yield "monitor trips", str(len(summary.trips))


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.3f} {unit}"


def _timing(timing: Percentiles | None) -> str:
    if timing is None:
        return "-"
    return f"p50 {1e3 * timing.p50:.2f} ms, p99 {1e3 * timing.p99:.2f} ms, max {1e3 * timing.max:.1f} ms"
