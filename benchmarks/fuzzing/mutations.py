"""Damage done to files, by chance and by somebody who knows their format. All draws come from a given `Random`."""

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

_EXTREMES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.0, -0.0, 5e-324, 1e39, 1e308, -1e308,
    float("nan"), float("inf"), float("-inf"), "", "\x00", "\x1b[2J", "\ud800", "a" * 20_000, "../../etc/passwd",
    [], {}, {"": 0}, [0.0] * 5_000, ["x"] * 5_000,
)  # fmt: skip

_MAX_SPLICE = 64  # bytes


def damage(random: Random, data: bytes) -> bytes:
    """One to eight accidents: flipped, lost, repeated or invented bytes."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        random.choice(_ACCIDENTS)(random, changed)
    return bytes(changed)


def _flip(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] ^= random.randint(1, 255)


def _truncate(random: Random, data: bytearray) -> None:
    del data[random.randint(0, len(data)) :]


def _lose(random: Random, data: bytearray) -> None:
    start = random.randint(0, len(data))
    del data[start : start + random.randint(1, _MAX_SPLICE)]


def _repeat(random: Random, data: bytearray) -> None:
    start = random.randint(0, len(data))
    data[start:start] = data[start : start + random.randint(1, _MAX_SPLICE)] * random.choice((1, 1, 3, 1000))


def _invent(random: Random, data: bytearray) -> None:
    start = random.randint(0, len(data))
    data[start:start] = random.randbytes(random.randint(1, _MAX_SPLICE))


def _overwrite(random: Random, data: bytearray) -> None:
    """Numbers that formats hold in 4 or 8 bytes, at their bounds."""
    start = random.randint(0, len(data))
    size = random.choice((1, 2, 4, 8))
    data[start : start + size] = random.choice((0, 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)).to_bytes(
        size, "little"
    )


_ACCIDENTS: tuple[Callable[[Random, bytearray], None], ...] = (
    _flip, _flip, _flip, _truncate, _lose, _repeat, _invent, _overwrite,
)  # fmt: skip


def change_document(random: Random, data: bytes) -> bytes:
    """A JSON document, damaged or changed."""
    return damage(random, data) if random.random() < 0.3 else change_json(random, data)


def change_json(random: Random, data: bytes) -> bytes:
    """A JSON document with some of its fields changed, dropped, added, renamed, repeated or exchanged."""
    tree = json.loads(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            break
        container, key = random.choice(places)
        random.choice(_CHANGES)(random, container, key, places)
    text = json.dumps(tree, indent=random.choice((None, 2)))
    if random.random() < 0.1 and '": ' in text:  # a name that appears twice
        text = text.replace("{", f"{{{json.dumps(random.choice(_names(tree)))}: 0, ", 1)
    return text.encode()


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key or index) of everything below the root."""
    found, pending = [], [tree]
    while pending:
        node = pending.pop()
        keys: Any = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            found.append((node, key))
            pending.append(node[key])
    return found


def _names(tree: Any) -> list[str]:
    return list(tree) if isinstance(tree, dict) and tree else ["x"]


def _extreme(random: Random) -> Any:
    return copy.copy(random.choice(_EXTREMES))  # a list will be changed in its turn


def _replace(random: Random, container: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    container[key] = _extreme(random)


def _nudge(random: Random, container: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    value = container[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        container[key] = random.choice((-value, value + 1, value * 3, value // 2))
    elif isinstance(value, str):
        container[key] = value + random.choice(("x", " ", "\n", "é", "\u202e")) if random.random() < 0.5 else value[:-1]
    elif isinstance(value, list):
        container[key] = value[:-1] if random.random() < 0.5 else value + value[-1:]


def _drop(random: Random, container: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    del container[key]


def _add(random: Random, container: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    if isinstance(container, dict):
        container[random.choice(("surprise", "", "\x1b", "__class__", "k" * 300))] = _extreme(random)
    else:
        container.insert(key, _extreme(random))


def _exchange(random: Random, container: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    other, other_key = random.choice(places)
    # A copy: a tree that holds itself is no JSON.
    container[key] = json.loads(json.dumps(other[other_key]))


def _bury(random: Random, container: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    for _ in range(random.choice((1, 40, 200))):
        container[key] = [container[key]] if random.random() < 0.5 else {"x": container[key]}


_CHANGES = (_replace, _replace, _nudge, _nudge, _nudge, _drop, _add, _exchange, _bury)
