"""A Unitree Go2's DDS network: its two topics, as samples of bytes that `unitree_go2_messages` encodes and decodes.

Bytes, because Cyclone DDS takes more than a millisecond to turn one such message into Python objects, and 500 of them
arrive in a second. Needs `cyclonedds`; only what opens a network imports this module.
"""

from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
from cyclonedds import idl
from cyclonedds.core import DDSException
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import types
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic as DdsTopic

from contract.errors import LandbridgeError
from deploy_robot.drivers import unitree_go2_messages as messages

LOOPBACK = "lo"

# Cyclone DDS 0.10, which the robot runs, knows no 8-bit integers but octets only, and a peer that announces any other
# crashes it. With octets the announced types are, hash for hash, those of Unitree's own C++ SDK.
_NUMBERS = {
    "u1": types.byte,
    "i1": types.byte,
    "i2": types.int16,
    "u2": types.uint16,
    "i4": types.int32,
    "u4": types.uint32,
    "f4": types.float32,
}

_DEPTH = 32  # samples that a reader keeps until they are taken

# As in Unitree's SDK: Cyclone's defaults. A reliable writer reaches every reader, a best-effort reader hears every
# writer. The writer waits for nobody.
_WRITER_QOS = Qos(Policy.Reliability.Reliable(max_blocking_time=0), Policy.History.KeepLast(1))
_READER_QOS = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(_DEPTH), Policy.IgnoreLocal.Participant)

# On loopback both ways of finding each other, since Cyclone DDS before and after version 11 prefer different ones.
_PEERS = '<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address="127.0.0.1"/></Peers></Discovery>'
_CONFIG = (
    '<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="{interface}"/></Interfaces></General>'
    "{discovery}</Domain></CycloneDDS>"
)


@dataclass(frozen=True)
class Topic:
    """A topic's name, and the type that Cyclone DDS is to announce and move."""

    name: str
    type: Any


def _message_type(name: str, dtype: np.dtype[np.void]) -> Any:
    """The DDS type of a message, whose samples are objects with their bytes in `data`."""
    message: Any = _struct(name, dtype)

    def deserialize(data: bytes, **_: Any) -> Any:
        sample = object.__new__(message)
        sample.data = bytes(data)
        return sample

    message.serialize = lambda self, **_: self.data
    message.deserialize = deserialize
    return message


def _struct(name: str, dtype: np.dtype[np.void]) -> Any:
    members: dict[str, Any] = {}
    for field, (kind, *_) in (dtype.fields or {}).items():
        element, shape = kind.subdtype or (kind, ())
        type_ = _struct(messages.STRUCTS[field], element) if element.fields else _NUMBERS[element.str[1:]]
        members[field] = types.array[type_, shape[0]] if shape else type_
    return idl.make_idl_struct(f"{name}_", f"unitree_go.msg.dds_.{name}_", members)


LOW_STATE = Topic("rt/lowstate", _message_type("LowState", messages.LOW_STATE))
LOW_CMD = Topic("rt/lowcmd", _message_type("LowCmd", messages.LOW_CMD))


class Network:
    """A participant in the robot's DDS network, for as long as it or one of its readers and writers is referred to.

    Raises:
        LandbridgeError: Cyclone DDS cannot use the interface.
    """

    _domains: ClassVar[WeakValueDictionary[tuple[str, int], Domain]] = WeakValueDictionary()

    def __init__(self, interface: str, domain: int) -> None:
        config = _CONFIG.format(interface=interface, discovery=_PEERS if interface == LOOPBACK else "")
        try:
            # A process can configure a domain once; participants on the same interface share it.
            self._domain = self._domains.get((interface, domain)) or Domain(domain, config)
            self._domains[interface, domain] = self._domain
            self._participant = DomainParticipant(domain)
        except DDSException as error:
            raise LandbridgeError(f"DDS domain {domain} cannot be joined on {interface}: {error.msg}") from None

    def reader(self, topic: Topic) -> "Reader":
        """Of what other participants publish."""
        return Reader(self, DataReader(self._participant, self._topic(topic), _READER_QOS))

    def writer(self, topic: Topic) -> "Writer":
        """To everybody who listens."""
        return Writer(self, topic, DataWriter(self._participant, self._topic(topic), _WRITER_QOS))

    def _topic(self, topic: Topic) -> Any:
        return DdsTopic(self._participant, topic.name, topic.type)


class Reader:
    """Hands out what has arrived."""

    def __init__(self, network: Network, reader: Any) -> None:
        self._network, self._reader = network, reader

    def writers(self) -> int:
        """How many other writers publish on the topic."""
        return len(self._reader.get_matched_publications())

    def take(self) -> list[bytes]:
        """Samples that nobody has taken yet, oldest first, without waiting; of a flood, the newest."""
        return [sample.data for sample in self._reader.take(_DEPTH) if hasattr(sample, "data")]


class Writer:
    """Publishes samples."""

    def __init__(self, network: Network, topic: Topic, writer: Any) -> None:
        self._network, self._type, self._writer = network, topic.type, writer

    def is_heard(self) -> bool:
        """Whether another participant subscribes to the topic."""
        return bool(self._writer.get_matched_subscriptions())

    def write(self, data: bytes) -> bool:
        """Publish a sample without waiting. False where a full network has no room for it: the sample is lost."""
        try:
            self._writer.write(self._type.deserialize(data))
        except DDSException as error:
            if error.code != DDSException.DDS_RETCODE_TIMEOUT:
                raise LandbridgeError(f"DDS cannot send: {error.msg}") from None
            return False
        return True
