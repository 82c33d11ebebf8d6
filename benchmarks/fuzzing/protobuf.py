"""Damage to a protobuf message that keeps its lengths right, so that it reaches what lies behind the parser."""

import copy
from dataclasses import dataclass
from random import Random

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
_SIZES = {FIXED64: 8, FIXED32: 4}
_INTERESTING = (0, 1, 2, 7, 8, 127, 128, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)


@dataclass
class Field:
    """One field of a message.

    Attributes:
        number, wire: of the tag.
        value: of a VARINT.
        content: of any other wire type.
        inner: fields of a message that it is known to hold.
        tag_excess: added to the tag's number: bits that some readers drop.
        tag_size: bytes of the tag, 0 for as many as it needs.
    """

    number: int
    wire: int
    value: int = 0
    content: bytes = b""
    inner: "list[Field] | None" = None
    tag_excess: int = 0
    tag_size: int = 0

    def encoded(self) -> bytes:
        """As it is in the file."""
        tag = varint((self.number << 3 | self.wire) + self.tag_excess, self.tag_size)
        if self.wire == VARINT:
            return tag + varint(self.value)
        content = encode(self.inner) if self.inner is not None else self.content
        return tag + varint(len(content)) + content if self.wire == BYTES else tag + content


Schema = dict[str, dict[int, str]]
"""{message: {field number: message that the field holds}}"""


def decode(data: bytes, schema: Schema, message: str) -> list[Field]:
    """Fields of a sound message."""
    fields, position = [], 0
    while position < len(data):
        key, position = _read_varint(data, position)
        found = Field(key >> 3, key & 7)
        if found.wire == VARINT:
            found.value, position = _read_varint(data, position)
        else:
            size = _SIZES.get(found.wire, 0)
            if found.wire == BYTES:
                size, position = _read_varint(data, position)
            found.content = data[position : position + size]
            position += size
            inner = schema[message].get(found.number)
            if inner is not None:
                found.inner = decode(found.content, schema, inner)
        fields.append(found)
    return fields


def encode(fields: list[Field]) -> bytes:
    """The message of these fields."""
    return b"".join(item.encoded() for item in fields)


def varint(value: int, size: int = 0) -> bytes:
    """Base 128, least significant first; at least `size` bytes."""
    digits: list[int] = []
    while value or not digits or len(digits) < size:
        digits.append(value & 0x7F)
        value >>= 7
    return bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])


def change(random: Random, data: bytes, schema: Schema, message: str) -> bytes:
    """A sound message with some of its fields changed, moved, repeated or dropped."""
    root = decode(data, schema, message)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        holders = [holder for _, holder in _holders(root, schema, message) if holder]
        if holders:
            holder = random.choice(holders)
            _change_field(random, holder, random.randrange(len(holder)), random.choice(random.choice(holders)))
    return encode(root)


def smuggle(random: Random, data: bytes, schema: Schema, message: str, hostile: dict[str, list[list[Field]]]) -> bytes:
    """A sound message with fields more, of those that are `hostile` in the message that they are listed under.

    Half of them have a tag that some readers take for that of another field.
    """
    root = decode(data, schema, message)
    found = [(inside, holder) for inside, holder in _holders(root, schema, message) if inside in hostile]
    inside = random.choice(sorted({inside for inside, _ in found}))
    holder = random.choice([holder for name, holder in found if name == inside])
    added = copy.deepcopy(random.choice(hostile[inside]))
    if random.random() < 0.5:
        _disguise(random, added[0])
    at = random.choice((0, len(holder)))
    holder[at:at] = added
    return encode(root)


def _change_field(random: Random, holder: list[Field], index: int, other: Field) -> None:
    chosen = holder[index]
    match random.randrange(8):
        case 0:
            del holder[index]
        case 1:
            holder.insert(index, copy.deepcopy(chosen))
        case 2:
            holder.insert(index, copy.deepcopy(other))
        case 3:
            holder.append(holder.pop(index))
        case 4:
            chosen.number, chosen.wire = random.choice(
                ((random.randrange(30), chosen.wire), (chosen.number, random.randrange(8)))
            )
        case 5:
            _disguise(random, chosen)
        case _:
            _change_value(random, chosen)


def _change_value(random: Random, chosen: Field) -> None:
    if chosen.wire == VARINT:
        chosen.value = random.choice(_INTERESTING)
    elif chosen.inner is None:
        content = bytearray(chosen.content)
        if content and random.random() < 0.7:
            content[random.randrange(len(content))] ^= random.randint(1, 255)
        else:
            content[random.randint(0, len(content)) :] = random.randbytes(random.choice((0, 1, 8)))
        chosen.content = bytes(content)


def _disguise(random: Random, chosen: Field) -> None:
    """More bytes than the tag needs, or bits beyond the 32 of a tag."""
    chosen.tag_size = random.choice((0, 2, 5, 10))
    chosen.tag_excess = random.choice((0, 2**32, 2**32, 2**34, 2**35))


def _holders(fields: list[Field], schema: Schema, message: str) -> list[tuple[str, list[Field]]]:
    """The fields of every message, with what it is."""
    found, pending = [], [(message, fields)]
    while pending:
        inside, holder = pending.pop()
        found.append((inside, holder))
        for item in holder:
            if item.inner is not None and (inner := schema[inside].get(item.number)):
                pending.append((inner, item.inner))
    return found


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
