"""How a session looks in a terminal: a live view while it runs, a table of figures at its end."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy_robot import figures
from deploy_robot.course import SHADOWING, WALKING, Status
from deploy_robot.session_summary import Percentiles, Summary

_MOST_MARGINS = 14  # rows
_CLOSE = 0.8  # of a limit, from which on it is shown as close
_STYLE = {"active": "green", "hold": "yellow", "damp": "red", "stopped": "bold red"}


@contextlib.contextmanager
def live_status(console: Console, seconds: float) -> Iterator[Callable[[Status], None]]:
    """A function that shows a status: on a terminal in a view that changes, else a line for each phase.

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
        yield lambda status: live.update(view(status, seconds))


def view(status: Status, seconds: float) -> Group:
    """The status line; below it, once the nodes have reported, margins, signals and timing."""
    reports = status.diagnostics
    parts: list[RenderableType] = [status_line(status, seconds)]
    makers = {f"robot_node: {figures.MARGINS}": _margins, f"robot_node: {figures.SIGNALS}": _signals}
    tables = [make(reports[name]) for name, make in makers.items() if name in reports]
    if tables:
        columns = Table.grid(padding=(0, 4))
        columns.add_row(*tables)
        parts.append(columns)
    for node in ("robot_node", "policy_node"):
        if line := _loop(node, reports.get(f"{node}: loop", {})):
            parts.append(line)
    return Group(*parts)


def _margins(texts: Mapping[str, str]) -> Table:
    """The limits that are used up most, with what the supervisor measures and permits."""
    shares = {name: figures.used(text) for name, text in texts.items()}
    # A NaN is the worst that can be.
    worst = sorted(shares, key=lambda name: -math.inf if math.isnan(shares[name]) else -shares[name])
    table = _table("limit", "used", "figure / limit")
    for name in worst[:_MOST_MARGINS]:
        share = shares[name]
        style = "green" if share <= _CLOSE else "yellow" if share <= 1.0 else "red"
        used = f"{share:.0%}" if math.isfinite(share) else "over"
        table.add_row(name, Text(used, style), texts[name])
    return table


def _signals(texts: Mapping[str, str]) -> Table:
    table = _table("signal", "newest sample")
    for name, text in texts.items():
        table.add_row(name, text)
    return table


def _table(*headers: str) -> Table:
    table = Table(box=None, padding=(0, 1))
    for header in headers:
        table.add_column(header, no_wrap=True)
    return table


def _loop(node: str, values: Mapping[str, str]) -> Text | None:
    """Timing of a node's loop in ms, and what it has lost on the way."""
    if "period_p50_ms" not in values:
        return None
    p50, p99, largest = (values[f"period_{part}_ms"] for part in ("p50", "p99", "max"))
    line = Text(f"{node:<18} period p50 {p50} ms, p99 {p99} ms, max {largest} ms")
    for name, value in values.items():
        if not name.startswith("period_") and value not in ("", "0"):
            line.append(f"  {name}: {value}", "yellow")
    return line


def status_line(status: Status, seconds: float) -> Text:
    """Phase, mode, time, command and trips in one line."""
    line = Text(f"{status.phase:<18}")
    if status.mode:
        line.append(f" {status.mode:<12}", _STYLE.get(status.mode, "cyan"))
    if status.phase in (WALKING, SHADOWING):
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
    if summary.dry_run:
        yield "dry run", "the robot was never written"
    yield "command", f"{vx:+.2f} {vy:+.2f} m/s, {yaw_rate:+.2f} rad/s, for {summary.seconds:.1f} s"
    if summary.motion is not None and not summary.dry_run:
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
