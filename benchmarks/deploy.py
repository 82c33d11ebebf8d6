"""What the robot computer has to do in a period: the policy's graph, the supervisor, and the whole way over ROS 2."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.results import Aim, Row
from benchmarks.scene import RECIPE, make_env
from benchmarks.standing_robot import StandingRobot
from benchmarks.throwaway_bundle import export_throwaway
from benchmarks.timing import Array, Spread
from contract.bundle import read_bundle
from contract.errors import LandbridgeError
from deploy_robot.onnx_policy import OnnxPolicy
from policies import recipes
from policies.training import build_controller

TITLE = "Deployment"
ABOUT = (
    "Time of one step of the policy's graph (onnxruntime, one thread) and of one step of the safety supervisor with "
    "all its monitors while the policy drives, called in turn at 200 Hz with pauses between, as on a robot, against "
    "the period of 5 ms. The delay from sampling the sensors to the command on the bus is that of the newest "
    "`landbridge run` on this machine."
)
PERIOD = 0.005  # s
_SHARES = {"policy step": 0.2, "supervisor step": 0.1}  # of the period that a step may take at p99
_STRETCHES = 10  # over which the spread is taken


@dataclass(frozen=True)
class DeployBenchmark:
    """Sizes: periods that are measured; where `landbridge run` leaves its summaries."""

    periods: int = 4000
    runs: Path = Path("runs")

    def run(self) -> Iterator[Row]:
        """p50 and p99 of each."""
        for name, seconds in _step_times(self.periods).items():
            yield _row(f"{name}, p50", seconds, 50)
            yield _row(f"{name}, p99", seconds, 99, Aim(_SHARES[name], at_least=False))
        yield from _session_rows(self.runs)


def _step_times(periods: int) -> dict[str, Array]:
    """Seconds of each step, (periods,)."""
    recipe = recipes.load(RECIPE)
    with tempfile.TemporaryDirectory() as scratch, closing(make_env(1, threads=1)) as env:
        bundle = read_bundle(export_throwaway(build_controller(recipe, env), recipe, Path(scratch) / "bundle"))
        signals = {signal.name: env.signals[signal.name].numpy() for signal in bundle.contract.inputs}
        robot = StandingRobot(env.robot, bundle.contract, PERIOD)
    policy = OnnxPolicy(bundle)
    robot.activate()
    seconds = {"policy step": np.zeros(periods), "supervisor step": np.zeros(periods)}
    due = time.monotonic()
    for i in range(periods):
        due += PERIOD
        time.sleep(max(0.0, due - time.monotonic()))
        robot.sense()
        seconds["policy step"][i] = _seconds(lambda: policy.step(signals))
        seconds["supervisor step"][i] = _seconds(robot.step)
    robot.require_active()
    return seconds


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _row(what: str, seconds: Array, percentile: int, aim: Aim | None = None) -> Row:
    stretches = np.array_split(seconds, min(_STRETCHES, len(seconds)))
    fraction = Spread.of([float(np.percentile(part, percentile)) / PERIOD for part in stretches])
    return Row(what, 1e6 * float(np.percentile(seconds, percentile)), 1e6 * PERIOD, "us", fraction, aim)


def _session_rows(runs: Path) -> Iterator[Row]:
    """Sensor-to-command delay of the newest session with one."""
    what = "sensor to command over ROS 2"
    found = sorted(runs.glob("**/summary.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        why = "no summary of a session is at hand: landbridge run BUNDLE, then python -m benchmarks deploy"
        yield Row(what, None, None, "us", None, None, why)
        return
    try:
        summary = json.loads(found[-1].read_text(encoding="utf-8"))
        delay, robot, driven = summary["sensor_to_command"], summary["driver"], summary["seconds"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LandbridgeError(f"{found[-1]}: not the summary of a session: {error}") from None
    if delay is None:
        yield Row(what, None, None, "us", None, None, "the newest session ended before a command was sent")
        return
    when = datetime.fromtimestamp(found[-1].stat().st_mtime)
    note = f"a session of {when:%Y-%m-%d} on the {robot} robot, {driven:.0f} s"
    for name in ("p50", "p99"):
        yield Row(
            f"{what}, {name}", 1e6 * delay[name], 1e6 * PERIOD, "us", Spread.of([delay[name] / PERIOD]), None, note
        )
