"""A recording: an MCAP file of ROS 2 messages, as rosbag2 writes them and Foxglove opens them.

Beside the messages it holds, as metadata `landbridge`, what is needed to judge them: the robot, and the bundle's
digest and contract.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from contract.errors import LandbridgeError
from deploy_robot import ros_definitions

METADATA = "landbridge"

# About a second of everything: what a process that is killed may lose.
_CHUNK_SIZE = 512 * 1024
_RELIABLE = """\
- history: 1
  depth: 10
  reliability: 1
  durability: 2
  deadline: {sec: 9223372036, nsec: 854775807}
  lifespan: {sec: 9223372036, nsec: 854775807}
  liveliness: 1
  liveliness_lease_duration: {sec: 9223372036, nsec: 854775807}
  avoid_ros_namespace_conventions: false
"""

JOINT_STATE = "sensor_msgs/msg/JointState"
IMU = "sensor_msgs/msg/Imu"
TWIST = "geometry_msgs/msg/TwistStamped"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
NUMBERS = "std_msgs/msg/Float64MultiArray"

JOINT_STATES, IMUS, CMD_VEL = "joint_states", "imu", "cmd_vel"
TARGETS = "robot_node/joint_command"
SAFETY = "robot_node/safety"
TRIPS = "robot_node/trips"
TICKS = "robot_node/ticks"
STEPS = "policy_node/steps"

TYPES = {
    JOINT_STATES: JOINT_STATE,
    IMUS: IMU,
    CMD_VEL: TWIST,
    TARGETS: JOINT_STATE,
    SAFETY: DIAGNOSTICS,
    TRIPS: DIAGNOSTICS,
    TICKS: NUMBERS,
    STEPS: NUMBERS,
}
"""Every topic of a recording, without its namespace, and the type of its messages."""


@dataclass(frozen=True)
class Message:
    """One message: ROS time in ns, and the message itself as CDR."""

    topic: str  # without the namespace
    time: int
    data: bytes


@dataclass(frozen=True)
class Recording:
    """What is in a file.

    Attributes:
        path: it was read from there.
        about: `robot`, `digest` and `contract` (JSON; empty where no bundle was given).
        messages: by topic, in the order of the file.
        damage: why the file ends before its end; empty where it is whole.
    """

    path: Path
    about: Mapping[str, str]
    messages: Mapping[str, Sequence[Message]]
    damage: str = ""

    @property
    def start(self) -> int:
        """Time of the first message, ns."""
        return min(messages[0].time for messages in self.messages.values())

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        return 1e-9 * (max(messages[-1].time for messages in self.messages.values()) - self.start)


class RecordingWriter:
    """Writes a recording to a stream.

    Args:
        stream: where it goes, from its beginning.
        about: see `Recording`.
        namespace: of the topics, as in `/robot_1`.
    """

    def __init__(self, stream: IO[bytes], about: Mapping[str, str], namespace: str = "") -> None:
        from mcap.writer import Writer

        self._writer = Writer(stream, chunk_size=_CHUNK_SIZE)
        self._writer.start(profile="ros2", library="landbridge")
        self._writer.add_metadata(METADATA, dict(about))
        schemas = {
            type_: self._writer.register_schema(type_, "ros2msg", ros_definitions.text(type_).encode())
            for type_ in dict.fromkeys(TYPES.values())
        }
        self._channels = {
            topic: self._writer.register_channel(
                f"{namespace.rstrip('/')}/{topic}", "cdr", schemas[type_], {"offered_qos_profiles": _RELIABLE}
            )
            for topic, type_ in TYPES.items()
        }
        self._sequence = 0

    def add(self, message: Message) -> None:
        """Add a message; OSError where the stream fails."""
        self._writer.add_message(
            self._channels[message.topic], message.time, message.data, message.time, self._sequence
        )
        self._sequence += 1

    def finish(self) -> None:
        """Write index and end."""
        self._writer.finish()  # type: ignore[no-untyped-call]


def to_bytes(messages: Iterable[Message], about: Mapping[str, str], namespace: str = "") -> bytes:
    """A whole file."""
    stream = io.BytesIO()
    writer = RecordingWriter(stream, about, namespace)
    for message in messages:
        writer.add(message)
    writer.finish()
    return stream.getvalue()


def require_mcap() -> None:
    """LandbridgeError saying how to get it, unless MCAP files can be written and read here."""
    try:
        import mcap.writer  # noqa: F401
    except ImportError as error:
        raise LandbridgeError(
            f"recordings need a package that is not installed ({error}): `pip install mcap`"
        ) from None


def read_recording(path: Path) -> Recording:
    """Read a recording. Of a file that ends early or is damaged, what comes before the damage.

    Raises:
        LandbridgeError: it cannot be read, is no MCAP file, or none that Landbridge recorded.
    """
    require_mcap()
    from mcap.exceptions import InvalidMagic
    from mcap.records import Channel, Metadata
    from mcap.records import Message as Record
    from mcap.stream_reader import StreamReader

    try:
        data = path.read_bytes()
    except OSError as error:
        raise LandbridgeError(f"{path}: cannot be read: {error.strerror}") from None
    topics: dict[int, str] = {}
    messages: dict[str, list[Message]] = {}
    about: dict[str, str] = {}
    damage = ""
    try:
        # A length field that is garbage must not become an allocation of that size.
        for record in StreamReader(io.BytesIO(data), validate_crcs=True, record_size_limit=len(data)).records:
            match record:
                case Metadata(name="landbridge"):
                    about = dict(record.metadata)
                case Channel():
                    topics[record.id] = _without_namespace(record.topic)
                case Record() if topic := topics.get(record.channel_id, ""):
                    messages.setdefault(topic, []).append(Message(topic, record.log_time, record.data))
    except InvalidMagic:
        if not data.startswith(b"\x89MCAP"):
            raise LandbridgeError(f"{path}: not an MCAP file") from None
        damage = "its end is missing or damaged"
    except Exception as error:  # the parser's own, struct's, zstandard's: whatever damaged bytes lead to
        if not data.startswith(b"\x89MCAP"):
            raise LandbridgeError(f"{path}: not an MCAP file") from None
        damage = f"damaged or cut off ({type(error).__name__})"
    if not about:
        raise LandbridgeError(f"{path}: not a recording by Landbridge: metadata {METADATA!r} is missing")
    if not messages:
        raise LandbridgeError(f"{path}: holds no message that is whole")
    return Recording(path, about, messages, damage)


def _without_namespace(topic: str) -> str:
    return next((known for known in TYPES if topic == known or topic.endswith(f"/{known}")), "")


def about(robot: str, digest: str = "", contract: bytes = b"") -> dict[str, str]:
    """Metadata of a recording of a robot that a bundle drives, or none."""
    return {"robot": robot, "digest": digest, "contract": contract.decode()}
