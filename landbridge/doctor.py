"""`landbridge doctor`."""

import importlib.util
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from contract.errors import LandbridgeError
from landbridge import machine
from landbridge.extras import BASE, EXTRAS, Extra
from landbridge.machine import Finding

if TYPE_CHECKING:
    from rich.console import Console

_ROS_PROBE = """
import rclpy
from rclpy.utilities import get_rmw_implementation_identifier
rclpy.init()
node = rclpy.create_node("landbridge_doctor")
node.destroy_node()
rclpy.shutdown()
print(get_rmw_implementation_identifier())
"""

_VIDEO_PROBE = """
import imageio_ffmpeg, subprocess
import sim.rendering
subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-version"], check=True, capture_output=True)
"""


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, what this machine can run, what is missing, and how to get it.

    Changes nothing. Exits with 1 only where what the base installation needs is broken: everything else is
    optional, and which parts a machine needs depends on what it is for.

    Examples:
        landbridge doctor
    """

    def run(self) -> int:
        """Exit code 0, or 1 where the base installation cannot work."""
        from rich.console import Console

        console = Console(highlight=False, soft_wrap=True)
        extras = {extra.name: _packages(extra) for extra in EXTRAS}
        base = _packages(BASE)
        with ThreadPoolExecutor() as pool:  # the two that start programs and wait for them
            probes = pool.submit(_ros, extras["ros"].ok), pool.submit(_video, extras["train"].ok)
            ros, video = (probe.result() for probe in probes)

        _section(
            console,
            "Machine",
            [
                machine.python(),
                machine.processors(),
                machine.memory(),
                machine.disk(Path()),
                machine.gpu(),
            ],
        )
        _section(console, "Packages", [base, *extras.values()])
        _section(
            console,
            "ROS 2 and the robot's side",
            [
                ros,
                _domain(),
                _bus(),
                machine.real_time_scheduling(),
                machine.memory_locking(),
                machine.processor_affinity(),
                machine.kernel(),
            ],
        )
        _section(console, "Pictures", [video])
        _section(console, "So this machine can", _abilities(base, extras["train"], ros, video))
        return 0 if base.ok else 1


def _packages(extra: Extra) -> Finding:
    """What of an extra is there. Looks modules up without importing them."""
    versions = {module: _version(module) for module in extra.modules}
    missing = [module for module, version in versions.items() if version is None]
    name = f"[{extra.name}]" if extra.name else "base"
    if len(missing) == len(versions):
        return Finding(name, False, "not installed", _remedy(extra))
    listed = ", ".join(f"{module} {version}".strip() for module, version in versions.items() if version is not None)
    if not missing:
        return Finding(name, True, listed)
    return Finding(name, False, f"missing: {', '.join(missing)}; there: {listed}", _remedy(extra))


def _remedy(extra: Extra) -> str:
    return f"to {extra.gives}: {extra.how}" if extra.name else "pip install --force-reinstall landbridge"


def _version(module: str) -> str | None:
    """Version of the distribution that brought `module`; "" if it came otherwise, None if it is not there."""
    if importlib.util.find_spec(module) is None:
        return None
    distribution = _distributions().get(module)
    return metadata.version(distribution[0]) if distribution else ""


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def _ros(installed: bool) -> Finding:
    """Whether rclpy works here, not only whether it is there: a node is made in a process of its own."""
    if not installed:
        return Finding("rclpy", False, "not installed", "see [ros] above")
    ok, said = machine.probe(_ROS_PROBE)
    if ok:
        return Finding("rclpy", True, f"makes a node, over {said}")
    remedy = "reinstall it, or source one ROS 2 distribution only; RMW_IMPLEMENTATION must name an installed one"
    return Finding("rclpy", False, f"cannot make a node: {said}", remedy)


def _video(installed: bool) -> Finding:
    if not installed:
        return Finding("video", False, "not installed", "see [train] above")
    ok, said = machine.probe(_VIDEO_PROBE)
    if ok:
        return Finding("video", True, "drawn on the processor, encoded by ffmpeg; no OpenGL needed")
    return Finding("video", False, f"cannot be made: {said}", "pip install --force-reinstall imageio-ffmpeg")


def _domain() -> Finding:
    """Whether a run finds a ROS domain, hence free DDS ports, of its own."""
    from deploy_robot.ros_environment import claimed_domain

    try:
        with claimed_domain() as number:
            return Finding("ROS domain", True, f"domain {number} and its UDP ports are free")
    except LandbridgeError as error:
        return Finding("ROS domain", False, str(error), "stop ROS 2 programs that still run")


def _bus() -> Finding:
    from deploy_robot.drivers.emulated_bus import DEFAULT_PORT, HOST

    return machine.ports((DEFAULT_PORT, DEFAULT_PORT + 1), HOST)


def _abilities(base: Finding, train: Finding, ros: Finding, video: Finding) -> list[Finding]:
    """What follows from all that, one line an activity."""
    return [
        _ability("inspect, verify", "read, verify and explain bundles", base),
        _ability("train, check", "train policies and check them in simulation", base, train),
        _ability("run", "run a policy on a robot over ROS 2", base, ros),
        _ability("run --robot emulated", "run it against the emulated robot", base, train, ros),
        _ability("demo", "the whole way, with report and video", base, train, ros, video),
    ]


def _ability(command: str, gives: str, *needs: Finding) -> Finding:
    lacking = [finding.what for finding in needs if not finding.ok]
    return Finding(command, not lacking, gives, f"needs {', '.join(lacking)}" if lacking else "")


def _section(console: "Console", title: str, findings: list[Finding]) -> None:
    from rich.text import Text

    console.print(Text(title, style="bold"))
    for finding in findings:
        mark, style = ("ok", "green") if finding.ok else ("--", "yellow")
        console.print(Text.assemble("  ", (f"{mark} ", style), f"{finding.what:<21} {finding.detail}"))
        if finding.remedy:
            console.print(Text(f"     {'':<21} {finding.remedy}", style="dim"))
    console.print()
