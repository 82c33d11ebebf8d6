"""What a policy promises and expects: the typed form of a bundle's `contract.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract import codec, contract_rules
from contract.errors import BundleError
from contract.robot import Robot
from contract.signals import Signal

FILE = "contract.json"
SCHEMA_VERSION = 1

Floats = tuple[float, ...]


@dataclass(frozen=True)
class CommandRange:
    """The commands that the policy was trained on: bounds of each element, in the signal's unit."""

    elements: tuple[str, ...]
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class Delay:
    """Range of a delay that training drew from, s."""

    min: float
    max: float


@dataclass(frozen=True)
class SignalStatistics:
    """What one input signal looked like in training, one entry a component (row-major), in the signal's unit.

    `low` and `high` are the 0.1 and 99.9 percentiles; `min` and `max` are over everything seen.
    """

    mean: Floats
    std: Floats
    min: Floats
    max: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Provenance:
    """Where the policy comes from. `git_commit` and `git_dirty` are None outside a git checkout."""

    git_commit: str | None
    git_dirty: bool | None
    config_hash: str
    seed: int
    command: str
    packages: Mapping[str, str]
    training: Mapping[str, Any]  # steps, wall_time_s, ...: whatever JSON the training loop reports
    created: str  # ISO 8601, with offset


@dataclass(frozen=True)
class Contract:
    """Everything a runtime must know about a policy beside its graph. SI units and radians.

    Joint tuples have one entry for each of `joint_names`, in that order, which is also the order inside every
    signal. The graph takes `inputs` and `memory` and gives `outputs` and one `next_NAME` for each memory
    signal NAME; memory starts at zero.
    """

    robot: str
    task: str
    control_period: float  # s
    inputs: tuple[Signal, ...]
    memory: tuple[Signal, ...]
    outputs: tuple[Signal, ...]
    joint_names: tuple[str, ...]
    kp: Floats  # N m/rad
    kd: Floats  # N m s/rad
    default_joint_pos: Floats  # rad
    joint_lower: Floats  # rad
    joint_upper: Floats  # rad
    velocity_limit: Floats  # rad/s
    effort_limit: Floats  # N m
    action_lower: Floats  # rad, range of joint_target
    action_upper: Floats  # rad
    command_ranges: Mapping[str, CommandRange]
    sensor_delay: Delay
    action_delay: Delay
    training_envelope: Mapping[str, SignalStatistics]
    randomisation: Mapping[str, Any]  # what was randomised in training: any JSON
    monitors: Mapping[str, float]  # safety thresholds by name; they may tighten the robot's limits, never loosen them
    provenance: Provenance
    schema_version: int = SCHEMA_VERSION

    @property
    def graph_inputs(self) -> tuple[Signal, ...]:
        """Signals that the graph takes, in order."""
        return self.inputs + self.memory

    @property
    def graph_outputs(self) -> dict[str, tuple[int, ...]]:
        """Name and shape (without the batch axis) of every tensor that the graph gives, in order."""
        return {s.name: s.shape for s in self.outputs} | {f"next_{s.name}": s.shape for s in self.memory}


def to_json(contract: Contract) -> bytes:
    """`contract.json`. BundleError names the first field that could not be read back."""
    data = codec.dumps(contract, FILE)
    check(contract)
    return data


def from_json(data: bytes) -> Contract:
    """Parse and validate `contract.json`; BundleError `contract.json: FIELD: what is wrong`."""
    contract = codec.loads(Contract, data, FILE, first=_check_version)
    check(contract)
    return contract


def check(contract: Contract) -> None:
    """BundleError where the fields contradict each other (types and finiteness are the codec's part)."""
    try:
        contract_rules.check(contract)
    except codec.FieldError as error:
        raise BundleError(f"{FILE}: {error}") from None


def check_robot(contract: Contract, robot: Robot) -> None:
    """BundleError unless the contract is for this robot: same name, joints and order, no limit loosened."""
    try:
        contract_rules.check_robot(contract, robot)
    except codec.FieldError as error:
        raise BundleError(f"{FILE}: {error}") from None


def _check_version(document: object) -> None:
    # Before all other checks: a newer schema may have other fields, and "unknown field" would hide the cause.
    if not isinstance(document, dict):
        codec.fail("", f"must be an object, got {codec.show(document)}")
    if "schema_version" not in document:
        codec.fail("schema_version", "missing")
    version = codec.decode(int, document["schema_version"], "schema_version")
    if version > SCHEMA_VERSION:
        codec.fail(
            "schema_version",
            f"{version}, this Landbridge reads up to {SCHEMA_VERSION}: made by a newer Landbridge: upgrade",
        )
    if version < 1:
        codec.fail("schema_version", f"must be at least 1, got {version}")
