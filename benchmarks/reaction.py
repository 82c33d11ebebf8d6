"""How long it takes from a fault until the robot is told to do something else: real processes, real DDS."""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.kept import Kept
from benchmarks.results import Aim, Row
from benchmarks.timing import Array, Spread
from contract.bundle import read_bundle
from contract.errors import LandbridgeError
from deploy_robot.ros_environment import require_ros
from policies import bundles
from policies.counted import counted

TITLE = "From fault to reaction"
ABOUT = (
    "The shipped policy drives an emulated Go2: three processes that speak over DDS and the robot's bus. Faults take "
    "turns, each at a random phase of the control period; the reaction is the first command at the robot whose gains "
    "are no longer those of the policy (held or damped), by the time at which the robot received it. `ours` is in ms, "
    "`theirs` three control periods of the policy. robot_node and policy_node run under plain scheduling, without "
    "real-time priority."
)
BUNDLE = "go2-velocity-flat"
FAULTS = {
    "nan_target": "NaN target",
    "stale_state": "stale joint states",
    "stopped": "policy stopped (SIGSTOP)",
    "slowed": "policy slowed to a fifth (20 ms of every 100 ms)",
    "tilt": "tilt (IMU turned by 1.5 rad)",
    "killed": "policy killed",
}
_PERIODS = 3.0  # control periods of the aim
_HORIZON = 1.0  # s after a fault in which a reaction counts as one to it
_STEADY = 0.1  # s before a fault in which the gains must have been those of the policy
_SAME = 0.005  # relative difference of gains that rounding may make
_ROUNDS = 10  # of one stack, after which its trials are kept


@dataclass(frozen=True)
class ReactionBenchmark:
    """Sizes: trials of each fault; which faults; s of a sitting; where trials are kept for the next one; the seed.

    After a sitting the rows are those of the trials so far, and the next run goes on to the number that is wanted.
    """

    trials: int = 100
    faults: tuple[str, ...] = tuple(FAULTS)
    sitting: float = 600.0
    kept: Path | None = Path("runs/reaction.json")
    seed: int = 0

    def run(self) -> Iterator[Row]:
        """p50 and p99 of each fault."""
        try:
            require_ros()
        except LandbridgeError as error:
            yield Row("all faults", None, None, "ms", None, None, str(error))
            return
        limit = _PERIODS * read_bundle(bundles.path(BUNDLE)).contract.control_period
        kept = Kept(self.kept)
        self._measure(kept)
        for fault in self.faults:
            seconds, loads = np.array(kept.of(fault), np.float64).T
            yield from reaction_rows(FAULTS[fault], seconds, limit, loads, self.trials)
        if not self._missing(kept):
            kept.forget()

    def _missing(self, kept: Kept) -> dict[str, int]:
        """Trials that are still to be made, by fault."""
        missing = {fault: self.trials - len(kept.of(fault)) for fault in self.faults}
        return {fault: count for fault, count in missing.items() if count > 0}

    def _measure(self, kept: Kept) -> None:
        """Make what is missing, in stacks of a few rounds, as far as one sitting goes."""
        from benchmarks.reaction_stack import Trials  # needs ROS

        end, total = time.monotonic() + self.sitting, self.trials * len(self.faults)
        with counted("striking", "trials") as show:
            while missing := self._missing(kept):
                done = total - sum(missing.values())
                rounds = range(min(_ROUNDS, max(missing.values())))
                order = [fault for i in rounds for fault, count in missing.items() if i < count]

                def struck(count: int, done: int = done) -> None:
                    show(done + count, total)

                with tempfile.TemporaryDirectory() as out:
                    times = Trials(Path(out), self.seed + done).run(order, struck)
                load = os.getloadavg()[1]
                for fault, seconds in times:
                    kept.of(fault).append([seconds, load])
                kept.save()
                print(f"  {done + len(times)} of {total} trials", flush=True)
                if time.monotonic() >= end:
                    break


def reaction_rows(what: str, seconds: Array, limit: float, loads: Array, wanted: int) -> Iterator[Row]:
    """p50 and p99 of reaction times against a limit. Infinite is a fault without a reaction.

    Args:
        what: the fault.
        seconds: (trials,) reaction times.
        limit: s that they should not exceed.
        loads: (trials,) of the machine, over five minutes.
        wanted: trials in all.
    """
    missed = int(np.isinf(seconds).sum())
    span = f"{1e3 * seconds.min():.0f} to {1e3 * seconds.max():.0f} ms"
    load = f"{loads.min():.1f} to {loads.max():.1f}"
    trials = f"{len(seconds)} trials" if len(seconds) >= wanted else f"{len(seconds)} of {wanted} trials"
    note = f"{trials}, {span}, {missed} without a reaction, at a load of {load}"
    for percentile, aim in ((50, None), (99, Aim(1.0, at_least=False))):
        value = float(np.percentile(seconds, percentile, method="higher"))
        ratio = Spread(value / limit, value / limit, value / limit)
        yield Row(f"{what}, p{percentile}", 1e3 * value, 1e3 * limit, "ms", ratio, aim, note)


def reaction_time(commands: Mapping[str, Array], struck: float) -> float | None:
    """Time from a fault to the first command with other gains, s; infinite if none came.

    Args:
        commands: `time`, `kp` and `kd` of each, as a `FaultyBus` logs them.
        struck: when the fault struck, s.

    Returns:
        None where the gains were already changing before the fault: that is no trial.
    """
    time_, kp, kd = commands["time"], commands["kp"], commands["kd"]
    before = (time_ >= struck - _STEADY) & (time_ < struck)
    if before.sum() < 2:
        return None
    own = kp[before][-1], kd[before][-1]
    other = ~(np.isclose(kp, own[0], rtol=_SAME, atol=0.0) & np.isclose(kd, own[1], rtol=_SAME, atol=0.0))
    if own[0] <= 0.0 or other[before].any():
        return None
    after = np.flatnonzero(other & (time_ >= struck) & (time_ < struck + _HORIZON))
    return float(time_[after[0]] - struck) if after.size else float("inf")
