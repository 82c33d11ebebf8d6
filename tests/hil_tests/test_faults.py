"""Faults do to a bus and to a process what they say, from when to when they say, and nothing else."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import UsageError
from contract.rotations import tilt
from deploy_robot.drivers import emulated_bus
from deploy_robot.drivers.emulated_bus import LowCommand, LowState
from hil_tests import faults
from hil_tests.faults import (
    BrokenEncoder,
    BusFault,
    BusLoss,
    FrozenJoints,
    Killed,
    LateStates,
    Slowed,
    Stopped,
    TurnedImu,
    faults_enabled,
    in_background,
)
from hil_tests.faulty_bus import FaultyBus, send_fault
from hil_tests.robot_bus import UdpCodec

START, DURATION = 10.0, 1.0
ALL = [kind(START, DURATION, seed=3) for kind in faults.BUS_FAULTS.values()]


def state(sequence: int, stamp: float) -> LowState:
    rng = np.random.default_rng(sequence)
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    return LowState(sequence, stamp, *rng.normal(size=(3, 12)), upright, *rng.normal(size=(2, 3)))


@pytest.fixture(autouse=True)
def _enabled():
    with faults_enabled():
        yield


class Wire:
    """The robot's end of a bus, remembered."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def receive(self) -> list[bytes]:
        return []

    def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)

    def close(self) -> None:
        self.closed = True

    def __str__(self) -> str:
        return "a wire"


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def bus(wire: Wire, tmp_path: Path):
    made = FaultyBus(wire, UdpCodec(), tmp_path / "c")
    yield made
    made.close()
    assert wire.closed


def give(bus: FaultyBus, fault: BusFault, tmp_path: Path) -> None:
    send_fault(tmp_path / "c", fault)
    bus.receive()


def passed_on(bus: FaultyBus, wire: Wire, low: LowState) -> LowState | None:
    """What the other end sees of a state, without waiting."""
    before = len(wire.sent)
    bus.send(bus.encode(low))
    return emulated_bus.decode_state(wire.sent[-1]) if len(wire.sent) > before else None


def same(a: LowState, b: LowState) -> bool:
    """As frames, so that rounding is that of the bus."""
    return emulated_bus.encode(a) == emulated_bus.encode(b)


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: type(fault).__name__)
def test_a_fault_survives_its_way_to_the_robot(fault: BusFault):
    assert faults.from_json(faults.to_json(fault)) == fault


@pytest.mark.parametrize("fault", ALL, ids=lambda fault: type(fault).__name__)
def test_outside_its_time_a_fault_does_nothing(fault: BusFault, bus: FaultyBus, wire: Wire, tmp_path: Path):
    later = time.monotonic() + 100.0
    fault = dataclasses.replace(fault, start=later)
    give(bus, fault, tmp_path)
    for stamp in (later - 0.01, later + DURATION):
        low = state(1, stamp)
        seen = passed_on(bus, wire, low)
        assert seen is not None
        assert same(seen, low)


def test_nothing_is_injected_unless_it_is_enabled(monkeypatch: pytest.MonkeyPatch, wire: Wire, tmp_path: Path):
    monkeypatch.delenv("LANDBRIDGE_FAULTS")
    with pytest.raises(UsageError, match="LANDBRIDGE_FAULTS=1"):
        FaultyBus(wire, UdpCodec(), tmp_path / "c")
    assert not (tmp_path / "c").exists(), "nobody listens for faults"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with pytest.raises(UsageError, match="LANDBRIDGE_FAULTS=1"):
            Killed(0.0, 0.0).inject(process.pid)
        process.communicate(b"\n")
    assert process.returncode == 0, "it was left alone"


def test_enabling_ends_with_its_block(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LANDBRIDGE_FAULTS")
    with faults_enabled():
        faults.require_enabled()
    with pytest.raises(UsageError):
        faults.require_enabled()


def test_lost_frozen_turned_and_broken(bus: FaultyBus, wire: Wire, tmp_path: Path):
    later = time.monotonic() + 100.0
    good, bad = state(1, later - 0.01), state(2, later + 0.01)
    assert passed_on(bus, wire, good) is not None

    def under(fault: BusFault) -> LowState | None:
        bus._faults.clear()
        give(bus, fault, tmp_path)
        return passed_on(bus, wire, bad)

    assert under(BusLoss(later, 1.0)) is None
    frozen = under(FrozenJoints(later, 1.0))
    assert frozen is not None
    assert same(
        dataclasses.replace(bad, **{n: getattr(good, n) for n in ("joint_pos", "joint_vel", "joint_torque")}), frozen
    )
    turned = under(TurnedImu(later, 1.0, angle=1.2))
    assert turned is not None
    assert tilt(turned.imu_quat) == pytest.approx(1.2, abs=1e-5)
    assert same(dataclasses.replace(turned, imu_quat=bad.imu_quat), bad)
    broken = under(BrokenEncoder(later, 1.0))
    assert broken is not None
    assert np.isnan(broken.joint_pos).sum() == 1


def test_a_share_of_the_states_is_lost_by_the_seed():
    def lost(seed: int) -> list[bool]:
        fault = BusLoss(START, DURATION, seed, share=0.3)
        return [fault.alter(state(i, START), state(0, START)) is None for i in range(500)]

    assert lost(1) == lost(1) != lost(2)
    assert 0.2 < np.mean(lost(1)) < 0.4


def test_late_states_come_in_order(bus: FaultyBus, wire: Wire, tmp_path: Path):
    now = time.monotonic()
    give(bus, LateStates(now - 1.0, 100.0, lag=0.05), tmp_path)
    lows = [state(i, now) for i in range(3)]
    assert [passed_on(bus, wire, low) for low in lows] == [None] * 3
    time.sleep(0.06)
    bus.receive()
    assert [emulated_bus.decode_state(datagram).sequence for datagram in wire.sent] == [0, 1, 2]


def test_two_faults_at_once(bus: FaultyBus, wire: Wire, tmp_path: Path):
    later = time.monotonic() + 100.0
    give(bus, TurnedImu(later, 1.0, angle=0.5), tmp_path)
    give(bus, BrokenEncoder(later, 1.0), tmp_path)
    seen = passed_on(bus, wire, state(1, later))
    assert seen is not None
    assert np.isnan(seen.joint_pos).any()
    assert tilt(seen.imu_quat) == pytest.approx(0.5, abs=1e-5)


def test_commands_are_stamped_with_the_steady_clock(bus: FaultyBus, tmp_path: Path):
    begun = time.monotonic()
    for i, kp in enumerate((20.0, 40.0)):
        bus.decode(emulated_bus.encode(LowCommand(i, 0.0, np.full(12, 0.5 * i), np.full(12, kp), np.ones(12))))
    bus.save(tmp_path / "log.npz")
    with np.load(tmp_path / "log.npz") as log:
        assert (begun <= log["time"]).all()
        assert (log["time"] <= time.monotonic()).all()
        assert log["kp"].tolist() == [20.0, 40.0]
        assert log["step"].tolist() == [0.0, 0.5]


@given(st.binary(max_size=40) | st.dictionaries(st.text(), st.none() | st.text()).map(lambda d: json.dumps(d).encode()))
def test_what_is_no_fault_is_refused(data: bytes):
    with pytest.raises(UsageError):
        faults.from_json(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Earthquake"}, "Earthquake"),
        ({"share": "all"}, "BusLoss.share: must be a number, not 'all'"),
        ({"share": float("nan")}, "BusLoss.share"),
        ({"angle": 1.0}, "angle"),
        ({"start": None}, "BusLoss.start"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], message: str):
    content = json.loads(faults.to_json(BusLoss(START, DURATION))) | change
    with pytest.raises(UsageError, match=message):
        faults.from_json(json.dumps(content).encode())


def test_the_robot_counts_what_is_no_fault(bus: FaultyBus, tmp_path: Path):
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"nonsense", str(tmp_path / "c"))
    bus.receive()
    assert bus.refused_faults == 1


# -- faults of a process --------------------------------------------------------------------------------------------

COUNTER = "import time\nwhile True:\n print(time.monotonic(), flush=True)\n time.sleep(0.005)"


@pytest.fixture
def counting(tmp_path: Path):
    """A process that writes the time again and again."""
    with (tmp_path / "times").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", COUNTER], stdout=out)
    while not (tmp_path / "times").stat().st_size:
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


def gaps(tmp_path: Path, start: float) -> np.ndarray:
    """Times between lines that end after `start`."""
    lines = (tmp_path / "times").read_text().splitlines()[:-1]
    times = np.array([float(line) for line in lines])
    return np.diff(times)[times[1:] > start]


def test_a_killed_process_is_dead(counting: subprocess.Popen[bytes]):
    begun = time.monotonic()
    struck = Killed(begun + 0.05, 0.0).inject(counting.pid)
    assert struck >= begun + 0.05
    assert counting.wait(10.0) == -9


def test_a_stopped_process_goes_on_afterwards(counting: subprocess.Popen[bytes], tmp_path: Path):
    finish = in_background(lambda: Stopped(time.monotonic(), 0.3).inject(counting.pid))
    struck = finish()
    size = (tmp_path / "times").stat().st_size
    while (tmp_path / "times").stat().st_size < size + 100:  # a few lines
        time.sleep(0.01)
    assert gaps(tmp_path, struck).max() > 0.25


def test_a_slowed_process_stops_again_and_again(monkeypatch: pytest.MonkeyPatch):
    now, signals = [START], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(faults.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(faults.time, "sleep", sleep)
    monkeypatch.setattr(faults.os, "kill", lambda pid, sent: signals.append((round(now[0] - START, 3), sent)))
    assert Slowed(START, 0.55, share=0.25, turn=0.2).inject(1) == START
    stop, go = signal.SIGSTOP, signal.SIGCONT
    assert signals == [(0.0, stop), (0.15, go), (0.2, stop), (0.35, go), (0.4, stop), (0.55, go)]


def test_a_process_that_is_gone_is_no_success():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with pytest.raises(ProcessLookupError):
            Killed(0.0, 0.0).inject(process.pid)
