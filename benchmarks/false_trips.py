"""Whether the supervisor stops a robot that nothing is wrong with."""

import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.kept import Kept, until_done
from benchmarks.results import Aim, Row
from benchmarks.timing import Array, Spread
from contract import robots
from contract.bundle import read_bundle
from contract.errors import LandbridgeError
from contract.rotations import tilt
from deploy_robot.constraint import Reaction
from deploy_robot.decision import LATCHED, Mode, Trip
from deploy_robot.driver import JointCommand, RobotState
from deploy_robot.drivers import emulated_bus
from deploy_robot.drivers.emulated_bus import LowCommand
from deploy_robot.onnx_policy import OnnxPolicy
from deploy_robot.ros_environment import require_ros
from deploy_robot.session import SessionConfig, run_session
from deploy_robot.supervisor import Supervisor
from deploy_robot.target import Target
from hil_tests.robot_emulation import EmulationConfig, RobotEmulation
from hil_tests.robot_process import emulated_robot
from policies import bundles
from policies.counted import counted

TITLE = "False trips"
ABOUT = (
    "The shipped policy walks an emulated Go2, sound but unlike its description (drawn mass, centre of mass, friction, "
    "motor strengths, sensor noise, bias and delay), over its whole range of commands, and jumps between them. `ours` "
    "are trips that hold, damp or stop the robot, `theirs` minutes of walking. In simulated time the supervisor, the "
    "policy and the emulation run in one process, with the frames of the bus but without ROS, as the supervisor takes "
    "time as an argument; over ROS 2 they are three processes in real time."
)
BUNDLE = "go2-velocity-flat"
_NONE = Aim(0.0, at_least=False)
_PERIOD = 0.005  # s of the supervisor's loop
_START = 100.0  # s, of the clock
_COMPUTING = 0.002  # s from a sample to the target that is made of it
_COMMAND_TIME = (2.0, 6.0)  # s that a command lasts
_CLEAR = 0.7  # s
_LEVEL = 1.0  # rad of tilt beyond which the robot has fallen
_COMMANDS = ((0.8, 0.0, 0.0), (-0.5, 0.3, 0.0), (0.4, 0.0, 0.8), (0.0, -0.4, -0.8))  # of sessions over ROS 2


@dataclass(frozen=True)
class Walk:
    """What became of one robot.

    Attributes:
        seconds: for which the policy drove.
        trips: constraint and reaction of each trip while it did.
        fallen: whether the robot really fell, by the truth.
    """

    seconds: float
    trips: Sequence[Sequence[str]]
    fallen: bool


@dataclass(frozen=True)
class FalseTripsBenchmark:
    """Sizes: robots and s for each in simulated time; processes; sessions over ROS 2 and s of each; the seed.

    `kept` is where walks are kept, so that an interrupted run goes on; None for nowhere.
    """

    episodes: int = 15
    seconds: float = 120.0
    workers: int = 2
    sessions: int = len(_COMMANDS)
    session_seconds: float = 45.0
    seed: int = 0
    kept: Path | None = Path("runs/false_trips.json")

    def run(self) -> Iterator[Row]:
        """Simulated time, then real time."""
        with until_done(self.kept) as kept:
            done = kept.of("simulated")
            jobs = [(self.seed + i, self.seconds) for i in range(len(done), self.episodes)]
            with counted("walking", "robots") as show:
                show(len(done), self.episodes)
                for walk in self._walks(jobs):
                    done.append(asdict(walk))
                    kept.save()
                    show(len(done), self.episodes)
                    print(f"  robot {len(done)} of {self.episodes}: {walk.trips or 'no trip'}", flush=True)
            yield trip_row("in simulated time", [Walk(**walk) for walk in done])
            if self.sessions:
                yield self._over_ros(kept)

    def _walks(self, jobs: list[tuple[int, float]]) -> Iterator[Walk]:
        if jobs:
            with multiprocessing.get_context("spawn").Pool(self.workers) as pool:
                yield from pool.imap(_walk, jobs)

    def _over_ros(self, kept: Kept) -> Row:
        what = "over ROS 2, in real time"
        try:
            require_ros()
        except LandbridgeError as error:
            return Row(f"trips {what}", None, None, "trips", None, _NONE, str(error))
        done = kept.of("over ROS")
        for i in range(len(done), self.sessions):
            done.append(asdict(self._session(i)))
            kept.save()
            print(f"  session {len(done)} of {self.sessions}: {done[-1]['trips'] or 'no trip'}", flush=True)
        return trip_row(what, [Walk(**walk) for walk in done])

    def _session(self, i: int) -> Walk:
        with tempfile.TemporaryDirectory() as out:
            command = _COMMANDS[i % len(_COMMANDS)]
            config = SessionConfig(bundles.path(BUNDLE), Path(out), command, self.session_seconds)
            summary = run_session(config, emulated_robot(self.seed + i))
        trips = tuple((str(trip["constraint"]), str(trip["reaction"])) for trip in summary.trips)
        return Walk(summary.seconds, trips, summary.motion is None or summary.motion.falls > 0)


def trip_row(what: str, walks: Iterable[Walk]) -> Row:
    """Trips of all walks together."""
    walks = list(walks)
    minutes = sum(walk.seconds for walk in walks) / 60.0
    mild = Reaction.CLIP.name.lower()
    false = Counter(name for walk in walks for name, reaction in walk.trips if reaction != mild)
    clipped = Counter(name for walk in walks for name, reaction in walk.trips if reaction == mild)
    count = sum(false.values())
    note = (
        f"{len(walks)} robots, {minutes:.1f} min, {sum(walk.fallen for walk in walks)} fell; "
        f"tripped: {_counts(false)}; clipped: {_counts(clipped)}"
    )
    ratio = Spread.of([count / minutes]) if minutes else None
    return Row(f"trips {what}", count, minutes, "trips", ratio, _NONE, note)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "nothing"


def _walk(job: tuple[int, float]) -> Walk:
    return WalkingRobot(job[0]).walk(job[1])


@dataclass
class WalkingRobot:
    """An emulated robot, its supervisor and its policy on a clock of their own.

    Args:
        seed: of the robot and of the commands.
    """

    seed: int
    bundle: str = BUNDLE
    now: float = _START
    trips: list[Trip] = field(default_factory=list)

    def __post_init__(self) -> None:
        bundle = read_bundle(bundles.path(self.bundle))
        self.contract = bundle.contract
        self.robot = robots.load(bundle.contract.robot)
        self.supervisor = Supervisor(self.robot, bundle.contract)
        self._policy = OnnxPolicy(bundle)
        self._emulation = RobotEmulation(self.robot, EmulationConfig(), self.seed)
        self._rng = np.random.default_rng((self.seed, 1))
        ranges = bundle.contract.command_ranges["command"]
        self._bounds = np.array(ranges.lower), np.array(ranges.upper)
        self.command: Array = np.zeros(len(ranges.elements))
        self._next_command = self._next_policy = self._next_supervisor = self.now
        self._state: RobotState | None = None
        self._computed: Target | None = None
        self._target: Target | None = None
        self._datagrams: list[bytes] = []
        self._sends_targets = False

    def walk(self, seconds: float) -> Walk:
        """Stand up, and walk for that long or until the supervisor damps the robot.

        Raises:
            LandbridgeError: the robot would not stand up or be armed.
        """
        self._until(Mode.PASSIVE, 1.0)
        self._insist("stand")
        self._until(Mode.READY, 10.0)
        self._sends_targets = True
        self._run(_CLEAR)
        self._insist("arm")
        self._until(Mode.ACTIVE, 1.0)
        self.trips.clear()
        begun = self.now
        while self.now - begun < seconds and self.supervisor.mode not in LATCHED:
            if self.now >= self._next_command:
                self._next_command = self.now + self._rng.uniform(*_COMMAND_TIME)
                self.command = self._rng.uniform(*self._bounds)
            self._tick()
        trips = tuple((trip.constraint, trip.reaction.name.lower()) for trip in self.trips)
        truth = self._emulation.ground_truth()
        fallen = tilt(truth["root_quat"][truth["time"] >= begun]) > _LEVEL
        return Walk(self.now - begun, trips, bool(fallen.any()))

    def _run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self._tick()

    def _until(self, mode: Mode, seconds: float) -> None:
        """Run for longer than a constraint takes to clear, and on until the mode is reached."""
        end = self.now + seconds
        self._run(_CLEAR)
        while self.supervisor.mode is not mode:
            if self.now > end:
                raise LandbridgeError(f"the robot does not become {mode.value}, it is {self.supervisor.mode.value}")
            self._tick()

    def _insist(self, request: str) -> None:
        accepted, why = getattr(self.supervisor, f"request_{request}")(self.now)
        if not accepted:
            raise LandbridgeError(f"the robot refuses to {request}: {why}")

    def _tick(self) -> None:
        """One timestep of the physics, and whatever else is due."""
        if arrived := self._emulation.tick(self.now, self._datagrams):
            self._state = as_state(arrived[-1])
        self._datagrams = []
        self.now += self._emulation.timestep
        if self._sends_targets and self.now >= self._next_policy and self._state is not None:
            self._next_policy += self.contract.control_period
            self._compute(self._state)
        elif not self._sends_targets:
            self._next_policy = self.now
        if self.now >= self._next_supervisor:
            self._next_supervisor += _PERIOD
            self._supervise()

    def _compute(self, state: RobotState) -> None:
        if self.supervisor.mode is not Mode.ACTIVE:
            self._policy.reset()
        known = {name: getattr(state, name) for name in ("joint_pos", "joint_vel", "imu_quat", "gyro")}
        known["command"] = self.command
        signals = {signal.name: known[signal.name][None] for signal in self.contract.inputs}
        self._computed = Target(state.stamp, self.now + _COMPUTING, self._policy.step(signals)[0])

    def _supervise(self) -> None:
        if self._computed is not None and self._computed.received <= self.now:
            self._target = self._computed
        decision = self.supervisor.step(self.now, self._state, self._target, self.command)
        self.trips += decision.new_trips
        self._datagrams = [as_datagram(decision.command, self.now)]


def as_state(datagram: bytes) -> RobotState:
    """A state frame as the driver gives it to the supervisor."""
    frame = emulated_bus.decode_state(datagram)
    return RobotState(
        frame.stamp,
        frame.sequence,
        frame.joint_pos,
        frame.joint_vel,
        frame.imu_quat,
        frame.gyro,
        frame.joint_torque,
        frame.accel,
    )


def as_datagram(command: JointCommand, now: float) -> bytes:
    """A command as the driver writes it to the bus."""
    return emulated_bus.encode(LowCommand(0, now, command.joint_target, command.kp, command.kd))
