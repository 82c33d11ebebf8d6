"""Faults of an emulated robot's bus and of the policy's process: small values with a start time and a seed.

A fault on the bus is sent to the robot as JSON and acts by its own clock, so that nobody has to be punctual. All times
are s on the steady clock, which the processes of a machine share. Nothing is injected unless the environment says so:
`LANDBRIDGE_FAULTS=1`, as `faults_enabled` sets it for a process and what it starts.
"""

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from random import Random
from typing import Any

import numpy as np

from contract.errors import UsageError
from contract.lookup import unknown
from contract.rotations import quat_multiply
from deploy_robot.drivers.emulated_bus import LowState
from deploy_robot.ros_environment import applied

_ENABLING = "LANDBRIDGE_FAULTS"


@contextmanager
def faults_enabled() -> Iterator[None]:
    """For the `with` block, this process and those that it starts may inject faults."""
    with applied({_ENABLING: "1"}):
        yield


def require_enabled() -> None:
    """UsageError unless faults may be injected."""
    if os.environ.get(_ENABLING) != "1":
        raise UsageError(f"faults are not enabled: set {_ENABLING}=1 where they may be injected")


@dataclass(frozen=True)
class Fault:
    """Acts from `start` for `duration` s; what it draws follows from `seed`."""

    start: float
    duration: float
    seed: int = 0

    def acts(self, now: float) -> bool:
        """Whether it does at `now`."""
        return self.start <= now < self.start + self.duration


@dataclass(frozen=True)
class BusFault(Fault):
    """Changes the states that a robot sends, by the time at which they were sampled."""

    def alter(self, state: LowState, before: LowState) -> LowState | None:
        """What becomes of `state`; None if it is lost. `before` is the last one before the fault."""
        raise NotImplementedError

    @property
    def delay(self) -> float:
        """By which every state is late, s."""
        return 0.0


@dataclass(frozen=True)
class BusLoss(BusFault):
    """A share of the states is lost; all of them by default."""

    share: float = 1.0

    def alter(self, state: LowState, before: LowState) -> LowState | None:
        """See `BusFault`."""
        return None if Random(f"{self.seed}:{state.sequence}").random() < self.share else state


@dataclass(frozen=True)
class FrozenJoints(BusFault):
    """New states keep coming, and their joint values are the last good ones."""

    def alter(self, state: LowState, before: LowState) -> LowState | None:
        """See `BusFault`."""
        return replace(state, joint_pos=before.joint_pos, joint_vel=before.joint_vel, joint_torque=before.joint_torque)


@dataclass(frozen=True)
class LateStates(BusFault):
    """States arrive `lag` s late, with the stamps of when they were sampled."""

    lag: float = 0.1

    def alter(self, state: LowState, before: LowState) -> LowState | None:
        """See `BusFault`."""
        return state

    @property
    def delay(self) -> float:
        """See `BusFault`."""
        return self.lag


@dataclass(frozen=True)
class TurnedImu(BusFault):
    """The IMU reports an orientation that is turned by `angle` rad about a horizontal axis drawn from the seed."""

    angle: float = 1.5

    def alter(self, state: LowState, before: LowState) -> LowState | None:
        """See `BusFault`."""
        heading = Random(self.seed).uniform(0.0, 2.0 * math.pi)
        half = 0.5 * self.angle
        turn = np.array([math.cos(half), math.sin(half) * math.cos(heading), math.sin(half) * math.sin(heading), 0.0])
        return replace(state, imu_quat=np.asarray(quat_multiply(turn, state.imu_quat), np.float64))


@dataclass(frozen=True)
class BrokenEncoder(BusFault):
    """The position of one joint, drawn from the seed, is NaN."""

    def alter(self, state: LowState, before: LowState) -> LowState | None:
        """See `BusFault`."""
        joint_pos = state.joint_pos.copy()
        joint_pos[Random(self.seed).randrange(joint_pos.size)] = np.nan
        return replace(state, joint_pos=joint_pos)


BUS_FAULTS: dict[str, type[BusFault]] = {
    kind.__name__: kind for kind in (BusLoss, FrozenJoints, LateStates, TurnedImu, BrokenEncoder)
}


def to_json(fault: BusFault) -> bytes:
    """As it is sent to a robot."""
    return json.dumps({"kind": type(fault).__name__, **asdict(fault)}).encode()


def from_json(data: bytes) -> BusFault:
    """Inverse of `to_json`. UsageError names the field that is wrong."""
    try:
        content: dict[str, Any] = json.loads(data)
        kind = content.pop("kind")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError("a fault must be a JSON object with a kind") from None
    if not isinstance(kind, str) or kind not in BUS_FAULTS:
        raise unknown("fault", str(kind), BUS_FAULTS)
    names = {field.name for field in fields(BUS_FAULTS[kind])}
    for name, value in content.items():
        if name not in names:
            raise unknown(f"field of {kind}", name, names)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UsageError(f"{kind}.{name}: must be a number, not {value!r}")
    if missing := {"start", "duration"} - set(content):
        raise UsageError(f"{kind}.{min(missing)}: is missing")
    return BUS_FAULTS[kind](**content)


@dataclass(frozen=True)
class ProcessFault(Fault):
    """Strikes a process. `inject` takes as long as the fault, and leaves the process running if it can."""

    def inject(self, pid: int) -> float:
        """Strike at `start`; returns when that was, s.

        Raises:
            UsageError: faults are not enabled.
            ProcessLookupError: there is no such process.
        """
        require_enabled()
        time.sleep(max(0.0, self.start - time.monotonic()))
        struck = time.monotonic()
        self._strike(pid)
        return struck

    def _strike(self, pid: int) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Killed(ProcessFault):
    """SIGKILL."""

    def _strike(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Stopped(ProcessFault):
    """SIGSTOP, and SIGCONT at the end."""

    def _strike(self, pid: int) -> None:
        _stopped_for(pid, self.duration)


@dataclass(frozen=True)
class Slowed(ProcessFault):
    """The process gets `share` of the time, in turns of `turn` s that begin with a stop."""

    share: float = 0.2
    turn: float = 0.1

    def _strike(self, pid: int) -> None:
        end = time.monotonic() + self.duration
        while time.monotonic() < end:
            _stopped_for(pid, (1.0 - self.share) * self.turn)
            time.sleep(self.share * self.turn)


def _stopped_for(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)


def in_background(inject: Callable[[], float]) -> Callable[[], float]:
    """Start `inject` on a thread of its own; the function that comes back waits for it and gives its result."""
    struck: list[float] = []
    thread = threading.Thread(target=lambda: struck.append(inject()))
    thread.start()

    def finish() -> float:
        thread.join()
        if not struck:
            raise ProcessLookupError("the fault could not be injected")
        return struck[0]

    return finish
