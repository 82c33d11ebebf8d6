"""`landbridge monitors [BUNDLE]`."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from contract.robot import Robot
    from deploy_robot.limits import Limits

_WIDTH_OF_A_FILE = 230  # characters, where the output goes to a file or pipe


@dataclass(frozen=True)
class Monitors:
    """Show the safety constraints: what each checks, its limit, what a violation causes, and how it ends.

    With a bundle, the limits that apply while its policy drives: a bundle may tighten them, never loosen them.

    Examples:
        landbridge monitors
        landbridge monitors --robot unitree_go2
        landbridge monitors go2-velocity-flat/
    """

    bundle: Annotated[Path | None, tyro.conf.Positional] = None
    """Bundle directory or .zip."""
    robot: str | None = None
    """Show the joint limits of this robot; a bundle names its own."""

    def run(self) -> int:
        """Exit code 0.

        Raises:
            BundleError: the bundle is not whole, loosens a limit, or names an unknown constraint.
            UsageError: there is no such robot.
        """
        from rich.console import Console

        from contract import robots
        from contract.bundle import read_bundle
        from deploy_robot.constraint_table import COLUMNS, cells
        from deploy_robot.constraints import CONSTRAINTS
        from deploy_robot.limits import limits_of
        from deploy_robot.thresholds import thresholds_of
        from landbridge.shipped import find

        contract = read_bundle(find(self.bundle)).contract if self.bundle else None
        name = self.robot or (contract.robot if contract else None)
        robot = robots.load(name) if name else None
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH_OF_A_FILE)
        limits = limits_of(robot, contract) if robot else None
        tables = [_table(COLUMNS, cells(CONSTRAINTS, thresholds_of(CONSTRAINTS, contract), limits))]
        if robot is not None and limits is not None:
            tables += [_facts(limits), _joints(robot, limits)]
        for table in tables:
            console.print(table)
            console.print()
        return 0


def _facts(limits: "Limits") -> "Table":
    """What the limits of whole-robot constraints are multiples of."""
    facts = (
        ("power", limits.power, "W"),
        ("motor temperature", limits.temperature, "degrees Celsius"),
        ("smallest battery charge", limits.battery, "of 1"),
        ("force on a foot", limits.foot_force, "N"),
        ("smallest base height", limits.base_height, "m above the lowest foot"),
        ("pairs of parts that must keep clear", len(limits.geometry.pairs) if limits.geometry else None, ""),
    )
    shown = ((name, "not known" if value is None else f"{value:g} {unit}".strip()) for name, value, unit in facts)
    return _table(("robot", "limit"), shown)


def _joints(robot: "Robot", limits: "Limits") -> "Table":
    from deploy_robot.limits import limits_of

    own = limits_of(robot)
    columns = ("joint_lower", "joint_upper", "joint_velocity", "joint_effort", "target_lower", "target_upper")

    def row(j: int) -> Iterable[str]:
        yield robot.joint_names[j]
        for column in columns:
            value = float(getattr(limits, column)[j])
            tightened = value != float(getattr(own, column)[j])
            yield "no motor" if math.isinf(value) else f"{value:.4g}{' bundle' if tightened else ''}"

    heads = ("joint", "lower rad", "upper rad", "rad/s", "N m", "target lower", "target upper")
    return _table(heads, (row(j) for j in range(robot.num_joints)))


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for cells in rows:
        table.add_row(*(Text(cell) for cell in cells))  # Text: what a bundle says is not markup
    return table
