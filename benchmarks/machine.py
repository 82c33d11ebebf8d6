"""What a figure was measured on: processor, memory, versions. No names, no paths."""

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from contract.errors import LandbridgeError

_PACKAGES = ("mujoco", "mujoco-warp", "pybullet", "isaaclab", "newton", "torch", "numpy", "onnxruntime", "envpool")


def describe() -> str:
    """One sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version}" for name, version in _versions(_PACKAGES))
    return (
        f"{_processor()}, {cores()} cores used, {memory:.0f} GiB of memory, {platform.system()}; "
        f"Python {platform.python_version()}, {versions}; load {os.getloadavg()[0]:.1f} at the start"
    )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resident_bytes() -> int:
    """Memory of this process that is in RAM now.

    Raises:
        LandbridgeError: the system does not tell as Linux does.
    """
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        raise LandbridgeError("memory is measured on Linux only: there is no /proc/self/statm here") from None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    name = names.get("model name", platform.processor() or platform.machine())
    details = [f"{key} {names[key]}" for key in ("cpu family", "model") if key in names]
    return f"{name} ({', '.join(details)})" if details else name


def _versions(packages: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for name in packages:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found
