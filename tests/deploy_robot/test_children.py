import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.errors import LandbridgeError
from deploy_robot.children import Child, Children
from deploy_robot.process import PARENT_VARIABLE

PATIENCE = 60.0  # s


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def await_end(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while exists(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def await_failure(child: Child) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            child.check()
        except LandbridgeError as error:
            return str(error)
        time.sleep(0.02)
    raise AssertionError("the child is still running")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; print('error: no such robot', file=sys.stderr); print('bye'); sys.exit(1)", "no such robot"),
        ("print('[ERROR] [17.5] [policy_node]: bundle refused'); raise SystemExit(1)", "bundle refused"),
        ("print('[FATAL] [17.5] [policy_node]: gone'); print('[INFO] [1] [n]: x')", "gone"),
        ("print('the last line')", "the last line"),
        ("raise SystemExit(3)", "exit code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
)
def test_a_process_that_ends_is_reported_with_its_reason(code: str, reason: str, tmp_path: Path) -> None:
    assert await_failure(Child("node", python(code), {}, tmp_path)) == f"node ended: {reason}"


def test_a_running_process_is_fine_and_its_output_can_be_awaited(tmp_path: Path) -> None:
    with Children({"GREETING": "hello"}, tmp_path) as children:
        code = "import os, time; print(os.environ['GREETING'], flush=True); time.sleep(600)"
        child = children.start("node", python(code))
        child.await_output("hello", PATIENCE)
        children.check()
        assert children["node"] is child
        pid = child.pid
    assert not exists(pid)


def test_waiting_for_the_output_of_a_process_that_ends_gives_its_reason(tmp_path: Path) -> None:
    child = Child("node", python("print('error: port in use')"), {}, tmp_path)
    with pytest.raises(LandbridgeError, match="node ended: port in use"):
        child.await_output("ready", PATIENCE)


def test_waiting_is_bounded_and_can_be_given_up(tmp_path: Path) -> None:
    with Children({}, tmp_path) as children:
        child = children.start("node", python("import time; time.sleep(600)"))
        with pytest.raises(LandbridgeError, match="node was not ready within 0.1 s"):
            child.await_output("ready", 0.1)

        def give_up() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            child.await_output("ready", PATIENCE, give_up)


def test_the_whole_group_ends_even_what_ignores_signals(tmp_path: Path) -> None:
    grandchild = "import signal, time; signal.signal(2, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    code = (
        "import signal, subprocess, sys, time; signal.signal(2, signal.SIG_IGN);"
        f"p = subprocess.Popen([sys.executable, '-c', {grandchild!r}]); print('pid', p.pid, flush=True);"
        "time.sleep(600)"
    )
    child = Child("node", python(code), {}, tmp_path)
    child.await_output("up", PATIENCE)
    pid = int(child.output().split("pid ")[1].split()[0])
    assert child.stop(timeout=0.1) == -signal.SIGKILL
    assert not exists(child.pid)
    await_end(pid)


def test_children_end_in_the_reverse_of_their_order(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(2, lambda *_: (open(sys.argv[1], 'a').write(sys.argv[2]), os._exit(0)))\n"
        "print('up', flush=True)\n"
        "while True: time.sleep(1)"
    )
    with Children({}, tmp_path) as children:
        for name in ("a", "b", "c"):
            argv = [*python(code), str(tmp_path / "order"), name]
            children.start(name, argv).await_output("up", PATIENCE)
    assert (tmp_path / "order").read_text() == "cba"


def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LandbridgeError, match="node could not be started: "):
        Child("node", ["/no/such/program"], {}, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux's")
def test_a_process_ends_with_its_parent_however_that_ends() -> None:
    child = (
        "import time; from deploy_robot.process import run_process\n"
        "def body(stop):\n"
        "    print('following', flush=True)\n"
        "    while not stop.received: time.sleep(0.01)\n"
        "run_process(body)"
    )
    parent = (
        "import os, subprocess, sys, time\n"
        f"env = os.environ | {{{PARENT_VARIABLE!r}: str(os.getpid())}}\n"
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}], env=env, stdout=subprocess.PIPE, text=True)\n"
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(python(parent), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert exists(pid)
    process.kill()
    process.wait()
    await_end(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="the system call is Linux's")
def test_a_process_whose_parent_is_already_gone_does_not_start() -> None:
    code = "from deploy_robot.process import run_process; run_process(lambda stop: print('started'))"
    environment = os.environ | {PARENT_VARIABLE: "1"}
    done = subprocess.run(python(code), env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout == ""
    assert done.returncode == 1
