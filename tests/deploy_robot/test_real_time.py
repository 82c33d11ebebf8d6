"""What a process asks of the system is granted or said to be refused."""

import os
import subprocess
import sys

import pytest

from contract.errors import UsageError
from deploy_robot.real_time import Scheduling, parse_cpus

USABLE = sorted(os.sched_getaffinity(0))


def in_a_process(code: str) -> str:
    """What `code` prints, in a process that may change itself."""
    code = f"from deploy_robot.real_time import *\nimport gc, os, resource\nfrom pathlib import Path\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_lists_of_processors() -> None:
    first = USABLE[0]
    assert parse_cpus(f"{first}") == parse_cpus(f" {first}-{first} ") == {first}
    assert parse_cpus(",".join(map(str, USABLE))) == set(USABLE)


@pytest.mark.parametrize("text", ["", "a", "-1", "1-", "3-2", "0,,1", "0;1", "²", "99999"])
def test_what_is_no_list_of_usable_processors_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cpus"):
        parse_cpus(text)


def test_every_thread_stays_on_the_processors() -> None:
    code = f"""
import threading
hold = threading.Event()
thread = threading.Thread(target=hold.wait)
thread.start()
refused = RealTime(cpus="{USABLE[0]}").ask()
print(refused, {{frozenset(os.sched_getaffinity(int(t.name))) for t in Path("/proc/self/task").iterdir()}})
hold.set()
"""
    assert in_a_process(code) == f"() {{frozenset({{{USABLE[0]}}})}}"


def test_memory_is_locked_or_said_not_to_be() -> None:
    code = """
refused = RealTime(lock_memory=True).ask()
locked = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmLck" in line)
print("locked" if not refused and int(locked) > 0 else refused)
"""
    assert in_a_process(code) == "locked" or "memory is not locked" in in_a_process(code)
    limited = "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))\nos.geteuid() or os.setuid(65534)\n" + code
    assert "memory is not locked" in in_a_process(limited)


def test_garbage_is_frozen_unless_it_shall_not_be() -> None:
    for freeze in (True, False):
        code = f"RealTime(freeze_garbage={freeze}).ask(); print(gc.get_freeze_count() > 0)"
        assert in_a_process(code) == str(freeze)


def test_a_refused_priority_is_said() -> None:
    code = "resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))\nos.geteuid() or os.setuid(65534)\n"
    assert "normal scheduling" in in_a_process(code + "print(RealTime(priority=50).ask())")
    assert in_a_process(code + "print(RealTime(priority=0).ask())") == "()"


def test_policy_node_gets_less_than_robot_node() -> None:
    def priorities(priority: int | None) -> list[object]:
        return [Scheduling(priority).parameters(node).get("priority") for node in ("robot_node", "policy_node")]

    assert priorities(None) == [None, None]
    assert priorities(50) == [50, 40]
    assert priorities(5) == [5, 1]
    assert priorities(0) == [0, 0]
    with pytest.raises(UsageError, match="--priority -1"):
        Scheduling(-1).check()
