"""`landbridge robot export|import`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

Format = Literal["urdf", "usd", "mjcf"]
Base = Literal["auto", "fixed", "floating"]


@dataclass(frozen=True)
class Export:
    """Write a robot in the format of another program."""

    name: Annotated[str, tyro.conf.Positional]
    """Name of the robot; `landbridge list robots` shows them."""

    to: Format
    """urdf: shapes of the specification only; usd: with UsdPhysics; mjcf: with motors, sensors and a floor."""

    out: Path | None = None
    """File to write; by default NAME.urdf, NAME.usd or NAME.xml here."""

    def run(self) -> int:
        """Exit code 0."""
        from contract import robots

        robot = robots.load(self.name)
        path = self.out or Path(f"{self.name}.{'xml' if self.to == 'mjcf' else self.to}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.to == "usd":
            from sim.formats.usd import write_usd

            write_usd(robot, path)
        elif self.to == "urdf":
            from sim.formats.urdf import to_urdf

            path.write_text(to_urdf(robot), encoding="utf-8")
        else:
            from sim.formats.mjcf import to_mjcf

            path.write_text(to_mjcf(robot, floor=True), encoding="utf-8")
        print(f"wrote {path}")
        return 0


@dataclass(frozen=True)
class Import:
    """Make a robot from an MJCF or URDF file, and list what the file did not say."""

    file: Annotated[str, tyro.conf.Positional]
    """MJCF or URDF file, or menagerie:MODEL for a model of MuJoCo Menagerie."""

    name: str
    """What to call the robot: letters, digits and underscores."""

    out: Path | None = None
    """Folder in which the robot's folder is made; by default the first one in which robots are looked for."""

    base: Base = "auto"
    """Whether the base is bolted to the world or floats; auto: what the file says, or a guess."""

    overwrite: bool = False
    """Replace a robot of that name."""

    def run(self) -> int:
        """Exit code 0."""
        from rich.console import Console
        from rich.table import Table

        from contract import own_robots
        from contract.errors import UsageError
        from sim.formats.importing.importer import import_robot

        searched = own_robots.folders()
        into = self.out or (searched[0] if searched else None)
        if into is None:
            raise UsageError(f"robot import: --out is needed, since {own_robots.VARIABLE} names no folder")
        fixed = {"auto": None, "fixed": True, "floating": False}[self.base]
        made = import_robot(self.file, self.name, into, fixed_base=fixed, overwrite=self.overwrite)
        robot = made.robot
        feet, base = len(robot.feet), "bolted to the world" if robot.fixed_base else "floating"
        print(f"{robot.name}: {robot.num_joints} joints, {feet} feet, base {base}")
        console = Console(highlight=False)
        if made.guesses:
            print("what the file did not say, or what was replaced or left out:")
            table = Table("what", "taken", "why", box=None, padding=(0, 2))
            for guess in made.guesses:
                table.add_row(guess.what, guess.value, guess.why)
            console.print(table)
        print(f"wrote {made.folder}; go through ROBOT in its __init__.py")
        if into.absolute() not in searched:
            print(f"to use it by name: export {own_robots.VARIABLE}={into.absolute()}")
        return 0


@dataclass(frozen=True)
class RobotFiles:
    """Bring your own robot from MJCF or URDF, or take a robot to another program as URDF, USD or MJCF.

    `import` writes a folder with robot.xml (the robot alone, primitive shapes) and ROBOT, its facts, and lists every
    figure that the file did not give. A robot is found by its name in the folders that LANDBRIDGE_ROBOTS names, by
    default in ~/.local/share/landbridge/robots.

    `landbridge robot export --help` and `landbridge robot import --help` show the arguments of each.

    Examples:
        landbridge robot export unitree_go2 --to urdf
        landbridge robot export unitree_go2 --to usd --out assets/go2.usda
        landbridge robot import my_robot.urdf --name my_robot
        landbridge robot import menagerie:unitree_go1 --name unitree_go1
    """

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[Export, tyro.conf.subcommand("export")] | Annotated[Import, tyro.conf.subcommand("import")]
    ]
    """What to do."""

    def run(self) -> int:
        """Exit code 0."""
        return self.action.run()
