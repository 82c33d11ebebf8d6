"""What a machine has: processors, memory, real-time permission, GPU, ports. Each check gives one finding."""

import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON_NEEDED = (3, 11)
DISK_NEEDED = 3e9  # bytes: an environment with the train extra takes 2 GB
MEMLOCK_NEEDED = 512e6  # bytes: what a policy process may hold resident
FIFO_PRIORITY = 50
_PROBE_TIMEOUT = 60.0  # s


@dataclass(frozen=True)
class Finding:
    """One fact about this machine.

    Attributes:
        what: its name, in one or two words.
        ok: whether it is as wanted.
        detail: what was found.
        remedy: what to do about it; empty where nothing is missing.
    """

    what: str
    ok: bool
    detail: str
    remedy: str = ""


def python() -> Finding:
    """The interpreter."""
    ok = sys.version_info >= PYTHON_NEEDED
    remedy = "" if ok else f"install Python {'.'.join(map(str, PYTHON_NEEDED))} or newer"
    return Finding("python", ok, f"{platform.python_version()}, {sys.executable}", remedy)


def processors() -> Finding:
    """Cores that this process may use."""
    usable, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    remedy = "" if usable >= 2 else "training and the emulated robot want 2 cores; give this process more than one"
    return Finding("processors", usable >= 2, f"{usable} usable, load {load:.1f}", remedy)


def memory() -> Finding:
    """Main memory."""
    available = _memory_available()
    remedy = "" if available >= 4e9 else "training wants 4 GB free: close other programs, or use fewer envs"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Finding("memory", not remedy, f"{_gigabytes(available)} of {_gigabytes(total)} free", remedy)


def _memory_available() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))


def disk(path: Path) -> Finding:
    """Room for runs, bundles and videos under `path`."""
    free = shutil.disk_usage(path).free
    remedy = "" if free >= DISK_NEEDED else f"free {_gigabytes(DISK_NEEDED)} on the disk of {path.resolve()}"
    return Finding("disk", not remedy, f"{_gigabytes(free)} free here", remedy)


def real_time_scheduling() -> Finding:
    """Whether a process of this user may ask for real-time priority."""
    code = f"import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param({FIFO_PRIORITY}))"
    allowed, _ = probe(code)
    if allowed:
        return Finding("real-time priority", True, f"SCHED_FIFO {FIFO_PRIORITY} is allowed")
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    remedy = "add '@realtime - rtprio 98' to /etc/security/limits.d/realtime.conf, join that group, log in again"
    return Finding("real-time priority", False, f"SCHED_FIFO is refused (rtprio limit {limit})", remedy)


def memory_locking() -> Finding:
    """Whether a process may keep its pages in memory, so that the control loop never waits for one."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit == resource.RLIM_INFINITY:
        return Finding("memory locking", True, "unlimited")
    ok = limit >= MEMLOCK_NEEDED
    remedy = "" if ok else "add '@realtime - memlock unlimited' to /etc/security/limits.d/realtime.conf"
    return Finding("memory locking", ok, f"up to {limit / 1e6:.0f} MB", remedy)


def processor_affinity() -> Finding:
    """Processors that `landbridge run --cpus` may name, and those that the kernel keeps free of other work."""
    usable = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    isolated = _kernel_says(Path("/sys/devices/system/cpu/isolated"))
    detail = f"--cpus may name {usable}; kept free of other work: {isolated or 'none'}"
    remedy = "" if isolated else "for a robot: boot with isolcpus=N, so that nothing else runs on the loop's processor"
    return Finding("processor affinity", bool(isolated), detail, remedy)


def kernel() -> Finding:
    """Whether the kernel is one for real-time work."""
    realtime = _kernel_says(Path("/sys/kernel/realtime")) == "1" or "PREEMPT_RT" in platform.version()
    remedy = "" if realtime else "for a robot: a PREEMPT_RT kernel bounds how late a loop can be woken"
    return Finding("kernel", realtime, f"{platform.release()}, {'' if realtime else 'not '}PREEMPT_RT", remedy)


def _kernel_says(path: Path) -> str:
    """Contents of a file that the kernel may not have."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def gpu() -> Finding:
    """NVIDIA GPUs. None is needed; the default engine runs on the processor."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Finding("GPU", False, "no NVIDIA driver", "not needed: the default engine runs on the processor")
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    ok, text = _run(query)
    if not ok:
        return Finding("GPU", False, "nvidia-smi finds none", "not needed; else install NVIDIA's driver")
    return Finding("GPU", True, text.replace("\n", "; "))


def ports(numbers: Sequence[int], host: str) -> Finding:
    """Whether the UDP ports of the emulated robot's bus are free."""
    listed = ", ".join(map(str, numbers))
    taken = [str(number) for number in numbers if not port_is_free(number, host)]
    if not taken:
        return Finding("robot bus", True, f"UDP ports {listed} are free")
    remedy = "another emulated robot may be running: stop it, or give another port"
    return Finding("robot bus", False, f"UDP port {', '.join(taken)} in use", remedy)


def port_is_free(port: int, host: str) -> bool:
    """Whether a UDP socket can be bound to `port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        try:
            attempt.bind((host, port))
        except OSError:
            return False
    return True


def probe(code: str) -> tuple[bool, str]:
    """Run `code` in a Python of its own, where a crash harms nobody. Success, and the last line it said."""
    ok, text = _run([sys.executable, "-c", code])
    return ok, (text.splitlines() or [""])[-1]


def _run(command: list[str]) -> tuple[bool, str]:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PROBE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {_PROBE_TIMEOUT:.0f} s"
    return done.returncode == 0, done.stdout.strip()


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
