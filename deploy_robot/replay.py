"""What a recording says about a policy and about thresholds: the same commands again, the same trips or others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from contract import policy_contract, robots
from contract.errors import LandbridgeError, UsageError
from contract.policy_contract import Contract
from deploy_robot import cdr, policy_steps, ticks
from deploy_robot.constraint import PERIODS, Constraint, Reaction, Reading
from deploy_robot.constraints import CONSTRAINTS
from deploy_robot.decision import LATCHED, POLICY_DRIVES, Mode, Trip
from deploy_robot.driver import Array
from deploy_robot.judge import Row, rows_of
from deploy_robot.limits import limits_of
from deploy_robot.onnx_policy import OnnxPolicy
from deploy_robot.policy_steps import Step
from deploy_robot.recording import STEPS, TICKS, TRIPS, Message, Recording
from deploy_robot.supervisor import LONGEST_STEP
from deploy_robot.thresholds import Threshold, thresholds_of


@dataclass(frozen=True)
class Parting:
    """Where a replayed target is not the recorded one."""

    step: int  # counted from 0 in the recording
    time: float  # s since the start of the recording
    joint: str
    recorded: float  # rad
    replayed: float  # rad

    @property
    def size(self) -> float:
        """The difference, rad; infinite where only one of the two is a number."""
        difference = abs(self.replayed - self.recorded)
        return difference if difference == difference else float("inf")


@dataclass(frozen=True)
class CommandReplay:
    """A policy's targets, replayed.

    Attributes:
        steps: that were compared.
        missing: that the recording lost in between; after a gap the replay goes on from the recorded memory.
        differing: steps that are not the same bit for bit.
        first: difference of any joint, the largest one of that step. largest: of all steps. None if there is none.
    """

    steps: int
    missing: int
    differing: int
    first: Parting | None
    largest: Parting | None


def replay_commands(recording: Recording, policy: OnnxPolicy) -> CommandReplay:
    """Give a policy the recorded signals and compare its targets with the recorded ones, bit for bit.

    The memory is carried from step to step by the policy itself. It starts from the recorded one, or from zero where
    this policy's is another, and is zeroed where the robot's was.

    Raises:
        LandbridgeError: there are no steps of a policy in the recording.
        UsageError: the policy reads other signals than were recorded, or is for other joints.
    """
    messages = recording.messages.get(STEPS, ())
    if not messages:
        raise LandbridgeError(f"{recording.path}: holds no steps of a policy: no policy was active in it")
    shapes = {signal.name: (1, *signal.shape) for signal in policy.contract.inputs}
    joints = policy.contract.joint_names
    previous: int | None = None
    missing = differing = 0
    first: Parting | None = None
    largest: Parting | None = None
    for index, (message, step) in enumerate(_steps(recording, messages)):
        _check_fits(recording, policy.contract, step)
        if previous is None or step.number != previous + 1:
            # A policy that was configured anew counts from 0 again: no step is missing then.
            missing += max(step.number - previous - 1, 0) if previous is not None else 0
            _start(policy, step)
        if step.reset:
            policy.reset()
        previous = step.number
        target = policy.step({name: step.inputs[name].reshape(shape) for name, shape in shapes.items()})[0]
        if target.tobytes() == step.target.tobytes():
            continue
        differing += 1
        parting = _parting(index, 1e-9 * (message.time - recording.start), joints, step.target, target)
        first = first or parting
        if largest is None or parting.size > largest.size:
            largest = parting
    return CommandReplay(len(messages), missing, differing, first, largest)


def _steps(recording: Recording, messages: Sequence[Message]) -> Iterator[tuple[Message, Step]]:
    for message in messages:
        try:
            yield message, policy_steps.decode(cdr.read_sections(message.data))
        except cdr.CdrError as error:
            raise LandbridgeError(f"{recording.path}: {STEPS}: {error}") from None


def _check_fits(recording: Recording, contract: Contract, step: Step) -> None:
    wanted = {signal.name: int(np.prod(signal.shape)) for signal in contract.inputs}
    recorded = {name: part.size for name, part in step.inputs.items()}
    for name, size in wanted.items():
        if recorded.get(name) != size:
            held = f"{recorded[name]} numbers" if name in recorded else f"only {', '.join(recorded)}"
            raise UsageError(
                f"this bundle does not fit {recording.path}: it reads {size} numbers of signal {name!r},"
                f" and the recording holds {held}"
            )
    if step.target.size != len(contract.joint_names):
        raise UsageError(
            f"this bundle does not fit {recording.path}: it moves {len(contract.joint_names)} joints,"
            f" and the recorded robot has {step.target.size}"
        )


def _start(policy: OnnxPolicy, step: Step) -> None:
    own = {name: memory.size for name, memory in policy.memory.items()}
    if own == {name: part.size for name, part in step.memory.items()}:
        policy.restore(step.memory)
    else:
        policy.reset()


def _parting(step: int, time: float, joints: Sequence[str], recorded: Array, replayed: Array) -> Parting:
    size = np.abs(replayed - recorded)
    j = int(np.argmax(np.where(np.isnan(size), np.inf, size)))
    return Parting(step, time, joints[j], float(recorded[j]), float(replayed[j]))


@dataclass(frozen=True)
class Judgement:
    """Trips of the constraints, recorded and judged again; times are s since the start of the recording.

    Attributes:
        recorded: what tripped on the robot.
        judged: what trips with the thresholds that were asked for.
        lost: messages that the recorder lost.
    """

    recorded: tuple[Trip, ...]
    judged: tuple[Trip, ...]
    lost: int


def rejudge(
    recording: Recording,
    contract: Contract | None = None,
    limits: Mapping[str, float] | None = None,
    table: tuple[Constraint, ...] = CONSTRAINTS,
) -> Judgement:
    """Judge every recorded turn of robot_node's loop again.

    What the robot did stays as it was: a trip that comes earlier here would have changed what followed.

    Args:
        contract: whose limits apply; None for the recorded one.
        limits: of constraints, by name, in the unit of the table; unlike a bundle's they may be looser, too.

    Raises:
        LandbridgeError: nothing of robot_node's loop is in the recording.
        UsageError: there is no constraint of that name, the limit is no number from 0 on, or the contract is for
            another robot.
    """
    messages = recording.messages.get(TICKS, ())
    if not messages:
        raise LandbridgeError(f"{recording.path}: holds no turn of robot_node's loop")
    if contract is None and (text := recording.about.get("contract")):
        contract = policy_contract.from_json(text.encode())
    robot = robots.load(recording.about.get("robot", ""))
    if contract is not None and contract.robot != robot.name:
        raise UsageError(f"{recording.path} is of a {robot.name}, and the bundle is for {contract.robot}")
    robot_limits = limits_of(robot, contract)
    rows = rows_of(table, _thresholds(table, contract, limits or {}, robot_limits.control_period))
    judged: list[Trip] = []
    lost = 0
    try:
        for message in messages:
            tick = ticks.decode(cdr.read_sections(message.data))
            lost = max(lost, tick.lost)
            reading = tick.reading(robot_limits)
            if reading.joint_pos.size != robot.num_joints:
                raise UsageError(
                    f"{recording.path} is of a robot with {reading.joint_pos.size} joints, and {robot.name} has"
                    f" {robot.num_joints}"
                )
            time = 1e-9 * (message.time - recording.start)
            with np.errstate(all="ignore"):  # as in the supervisor
                judged += [
                    Trip(time, row.constraint.name, row.reaction, row.sentence(reading))
                    for row in _tripping(rows, reading, tick.before)
                    if tick.before is not Mode.PASSIVE or row.reaction is Reaction.STOP
                ]
            for row in rows:
                row.latched |= tick.mode in LATCHED and row.tripped and row.reaction >= Reaction.DAMP
        return Judgement(tuple(_recorded_trips(recording)), tuple(judged), lost)
    except cdr.CdrError as error:
        raise LandbridgeError(f"{recording.path}: {error}") from None


def _tripping(rows: Sequence[Row], reading: Reading, mode: Mode) -> list[Row]:
    """The rows that trip in a step of the supervisor in `mode`, as there."""
    found = []
    for row in rows:
        row.latched &= mode in LATCHED  # an accepted reset came before this step
        counts = not row.about_policy or mode in POLICY_DRIVES or row.latched
        if row.judge(reading, counts, reading.step_time, min(reading.step_time, LONGEST_STEP)):
            found.append(row)
    return found


def _thresholds(
    table: tuple[Constraint, ...], contract: Contract | None, limits: Mapping[str, float], period: float
) -> dict[str, Threshold]:
    thresholds = thresholds_of(table, contract)
    in_periods = {row.name for row in table if row.unit == PERIODS}
    for name, value in limits.items():
        if name not in thresholds:
            raise UsageError(f"--monitors {name}: no such constraint; known ones: {', '.join(thresholds)}")
        if not 0.0 <= value < float("inf"):
            raise UsageError(f"--monitors {name}={value:g}: must be a number from 0 on")
        scale = period if name in in_periods else 1.0
        thresholds[name] = Threshold(value * scale, thresholds[name].unit, "replay")
    return thresholds


def _recorded_trips(recording: Recording) -> Iterator[Trip]:
    for message in recording.messages.get(TRIPS, ()):
        for status in cdr.read_diagnostics(message.data):
            name = dict(status.values).get("reaction", "")
            if name.upper() not in Reaction.__members__:
                raise cdr.CdrError(f"{TRIPS}: unknown reaction {name!r}")
            reaction = Reaction[name.upper()]
            yield Trip(1e-9 * (message.time - recording.start), status.name, reaction, status.message)
