"""contract.json: what is written is read back bit for bit, and whatever is wrong is named."""

import copy
import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import toy_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import BundleError
from contract.policy_contract import (
    CommandRange,
    Contract,
    Delay,
    Provenance,
    SignalStatistics,
    check_robot,
    from_json,
    to_json,
)
from contract.signals import Signal

FREE_FORM = ("randomisation", "provenance.training", "provenance.packages", "monitors")


def plain() -> dict[str, Any]:
    return json.loads(to_json(toy_policy.contract()))


def refusal(document: object) -> str:
    with pytest.raises(BundleError) as caught:
        from_json(json.dumps(document).encode())
    message = str(caught.value)
    assert message.startswith("contract.json: ")
    assert "\n" not in message
    return message


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any, Any, Any]]:
    """(path, container, key, value) of everything below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        inner = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
        yield inner, value, key, item
        yield from leaves(item, inner)


PATHS = [path for path, *_ in leaves(plain()) if not path.startswith(FREE_FORM)]


def at(document: dict[str, Any], wanted: str) -> tuple[Any, Any, Any]:
    return next((container, key, value) for path, container, key, value in leaves(document) if path == wanted)


def names(count: int) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,12}", fullmatch=True),
        min_size=count,
        max_size=count,
        unique_by=lambda name: name.removeprefix("next_"),
    ).map(tuple)


number = st.floats(-3e38, 3e38)
any_number = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "), max_size=9)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | any_number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text.filter(bool), inner, max_size=3),
    max_leaves=8,
)
json_object = st.dictionaries(text.filter(bool), json_value, max_size=4)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    num_joints = draw(st.integers(1, 5))
    joints = draw(names(num_joints))
    sensors = [f"in_{i}" for i in range(draw(st.integers(1, 3)))]
    sizes = {name: draw(st.integers(1, 4)) for name in sensors}

    def vector(size: int = num_joints, elements: st.SearchStrategy[float] = number) -> tuple[float, ...]:
        return tuple(draw(st.lists(elements, min_size=size, max_size=size)))

    def between(lower: tuple[float, ...], upper: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(draw(st.floats(low, high)) for low, high in zip(lower, upper, strict=True))

    def ordered(count: int, size: int) -> list[tuple[float, ...]]:
        return list(zip(*(sorted(vector(count)) for _ in range(size)), strict=True))

    def statistics(size: int) -> SignalStatistics:
        low, lower, upper, high = ordered(4, size)
        return SignalStatistics(vector(size), vector(size, st.floats(0, 3e38)), low, high, lower, upper)

    lower, upper = ordered(2, num_joints)
    action = [between(lower, upper) for _ in range(2)]
    positive = st.floats(0, 3e38, exclude_min=True)
    command = sensors[-1]
    command_lower, command_upper = ordered(2, sizes[command])
    delay = sorted(vector(2, st.floats(0, 10)))
    return Contract(
        robot=draw(text.filter(bool)),
        task=draw(text.filter(bool)),
        control_period=draw(st.floats(1e-4, 1.0)),
        inputs=tuple(Signal(n, (s,), draw(text), draw(text), description=draw(text)) for n, s in sizes.items()),
        memory=(Signal("history", (2, draw(st.integers(1, 3))), "1", ""),) if draw(st.booleans()) else (),
        outputs=(Signal("joint_target", (num_joints,), "rad", "joint", elements=joints),),
        joint_names=joints,
        kp=vector(elements=st.floats(0, 1e6)),
        kd=vector(elements=st.floats(0, 1e6)),
        default_joint_pos=between(lower, upper),
        joint_lower=lower,
        joint_upper=upper,
        velocity_limit=vector(elements=positive),
        effort_limit=vector(elements=positive),
        action_lower=tuple(map(min, *action)),
        action_upper=tuple(map(max, *action)),
        command_ranges={command: CommandRange(draw(names(sizes[command])), command_lower, command_upper)},
        sensor_delay=Delay(*delay),
        action_delay=Delay(0.0, delay[1]),
        training_envelope={name: statistics(size) for name, size in sizes.items() if draw(st.booleans())},
        randomisation=draw(json_object),
        monitors=draw(st.dictionaries(text.filter(bool), number, max_size=3)),
        provenance=Provenance(
            git_commit=draw(st.none() | text),
            git_dirty=draw(st.none() | st.booleans()),
            config_hash=draw(text),
            seed=draw(st.integers(-(2**63) + 1, 2**63 - 1)),
            command=draw(text),
            packages=draw(st.dictionaries(text.filter(bool), text, max_size=3)),
            training=draw(json_object),
            created=draw(st.datetimes(timezones=st.timezones())).isoformat(),
        ),
    )


@given(contracts())
@settings(deadline=None, max_examples=50)
def test_round_trip_is_exact(contract: Contract) -> None:
    data = to_json(contract)
    assert from_json(data) == contract
    assert to_json(from_json(data)) == data  # `==` would not see a lost sign of zero


@given(st.binary(max_size=200) | json_value.map(lambda value: json.dumps(value).encode()))
def test_other_content_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        from_json(data)


def is_field(path: str) -> bool:
    """Whether it names a field of a dataclass, not an entry of a list or of a mapping by signal name."""
    owner, _, _ = path.rpartition(".")
    return not path.endswith("]") and owner not in ("command_ranges", "training_envelope")


@pytest.mark.parametrize("path", [path for path in PATHS if is_field(path)])
def test_missing_is_named(path: str) -> None:
    document = plain()
    container, key, _ = at(document, path)
    del container[key]
    assert f" {path}: missing" in refusal(document)


@pytest.mark.parametrize("path", [""] + [path for path in PATHS if isinstance(at(plain(), path)[2], dict)])
def test_unknown_is_named(path: str) -> None:
    document = plain()
    (at(document, path)[2] if path else document)["surprise"] = 1
    assert f"{path}.surprise: ".removeprefix(".") in refusal(document)


@pytest.mark.parametrize("path", PATHS)
def test_wrong_type_is_named(path: str) -> None:
    for wrong in (None, True, "text", 1.5, [[]], [], {}):
        document = plain()
        container, key, value = at(document, path)
        if type(wrong) is type(value) or (wrong is None and path.startswith("provenance.git_")):
            continue
        if isinstance(value, int | float) and not isinstance(value, bool) and isinstance(wrong, float):
            continue
        container[key] = wrong
        if path in ("provenance.git_commit", "provenance.git_dirty") and isinstance(wrong, str | bool):
            continue
        assert f" {path}: must " in refusal(document)


@pytest.mark.parametrize("path", [path for path in PATHS if isinstance(at(plain(), path)[2], float)])
@pytest.mark.parametrize(("token", "shown"), [("NaN", "NaN"), ("-Infinity", "-Infinity"), ("1e999", "Infinity")])
def test_non_finite_is_named(path: str, token: str, shown: str) -> None:
    document = plain()
    container, key, _ = at(document, path)
    container[key] = "@"
    with pytest.raises(BundleError) as caught:
        from_json(json.dumps(document).replace('"@"', token).encode())
    assert str(caught.value) == f"contract.json: {path}: must be finite, got {shown}"


def test_non_finite_in_free_form_is_named() -> None:
    contract = dataclasses.replace(toy_policy.contract(), randomisation={"mass": [1.0, math.nan]})
    with pytest.raises(BundleError, match=r"^contract.json: randomisation.mass\[1\]: must be finite, got NaN$"):
        to_json(contract)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in PATHS
        if isinstance(value := at(plain(), path)[2], list) and all(isinstance(v, float) for v in value)
        if value
    ],
)
@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_length_is_named(path: str, change: int) -> None:
    document = plain()
    values = at(document, path)[2]
    right = len(values)
    if change < 0:
        values.pop()
    else:
        values.append(values[-1])
    assert f" {path}: must have {right} entries, got {right + change}" in refusal(document)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "schema_version",
            2,
            "schema_version: 2, this Landbridge reads up to 1: made by a newer Landbridge: upgrade",
        ),
        ("schema_version", 0, "schema_version: must be at least 1"),
        ("robot", "", "robot: must not be empty"),
        ("task", "two\nlines", "task: must be one line of printable text"),
        ("task", "\x1b[2J", "task: must be one line of printable text"),
        ("task", "x" * 10_001, "task: must have at most 10000 characters, got 10001"),
        ("control_period", 0.0, "control_period: must be from 0.0001 to 1 s"),
        ("control_period", 5e-324, "control_period: must be from 0.0001 to 1 s"),
        ("control_period", 60.0, "control_period: must be from 0.0001 to 1 s"),
        ("inputs[1].measurable", False, "inputs[1].measurable: 'joint_pos' cannot be measured on a robot"),
        ("inputs[1].name", "gyro", "inputs[1].name: 'gyro' is already inputs[0]"),
        ("outputs[0].name", "next_history", "outputs[0].name: 'next_history' is already memory[1]"),
        ("outputs[0].name", "target", "outputs: must contain 'joint_target'"),
        ("inputs[0].name", "../gyro", "inputs[0].name: must be letters"),
        ("inputs[0].shape[0]", 2, "inputs[0]: signal gyro: 3 element names for a last axis of 2"),
        ("inputs[0].shape", [], "inputs[0]: signal gyro: 3 element names"),
        ("memory[1].shape", [], "memory[1].shape: must have 1 to 8 axes, got 0"),
        ("memory[1].shape", [1] * 9, "memory[1].shape: must have 1 to 8 axes, got 9"),
        ("memory[1].shape", [2**62] * 100_000, "memory[1].shape: must have 1 to 8 axes, got 100000"),
        ("memory[1].shape[0]", 0, "memory[1].shape: must have positive sizes"),
        ("memory[1].shape[0]", 2**40, "memory[1].shape: must have at most"),
        ("memory[1].shape[0]", 2**80, "memory[1].shape[0]: integer out of range"),
        ("inputs[1].elements[0]", "elbow", "inputs[1].elements[0]: unknown joint 'elbow'"),
        ("inputs[1].elements[1]", "left_joint", "inputs[1].elements[1]: duplicate joint 'left_joint'"),
        (
            "outputs[0].elements",
            ["right_joint", "left_joint"],
            "outputs[0].elements: must be joint_names, in order",
        ),
        ("joint_names[1]", "left_joint", "joint_names[1]: duplicate joint 'left_joint'"),
        ("joint_names[1]", "", "joint_names[1]: must have 1 to 100 characters, got ''"),
        ("joint_names[1]", "j" * 101, "joint_names[1]: must have 1 to 100 characters"),
        ("joint_lower[1]", 1.5, "joint_lower[1]: must not exceed joint_upper[1], got 1.5 > 1.0"),
        ("action_lower[0]", -1.1, "action_lower[0]: left_joint: -1.1 is outside the joint's limits"),
        ("action_upper[0]", -1.1, "action_lower[0]: must not exceed action_upper[0]"),
        ("default_joint_pos[0]", 1.6, "default_joint_pos[0]: left_joint: 1.6 is outside the joint's limits"),
        ("joint_upper[0]", 1e300, "joint_upper[0]: must be within +-3e+38, got 1e+300"),
        ("kp[1]", -1.0, "kp[1]: right_joint: must be from 0 to 1e+06, got -1.0"),
        ("kd[0]", 1e7, "kd[0]: left_joint: must be from 0 to 1e+06"),
        ("effort_limit[0]", 0.0, "effort_limit[0]: left_joint: must be positive"),
        ("command_ranges.command.lower[0]", 2.0, "command_ranges.command.lower[0]: must not exceed"),
        ("command_ranges.command.upper[0]", 1e39, "command_ranges.command.upper[0]: must be within +-3e+38"),
        ("sensor_delay.max", -1.0, "sensor_delay: must satisfy 0 <= min <= max <= 10 s"),
        ("action_delay.max", 11.0, "action_delay: must satisfy 0 <= min <= max <= 10 s"),
        ("training_envelope.gyro.std[2]", -1.0, "training_envelope.gyro.std[2]: must not be negative"),
        ("training_envelope.gyro.max[2]", 1e39, "training_envelope.gyro.max[2]: must be within +-3e+38"),
        ("training_envelope.gyro.low[2]", 9.0, "training_envelope.gyro.low[2]: must satisfy"),
        ("provenance.created", "yesterday", "provenance.created: must be an ISO 8601 time"),
        ("provenance.created", "2026-01-02T03:04:05", "provenance.created: must carry a time zone"),
    ],
)
def test_contradiction_is_named(path: str, value: object, message: str) -> None:
    document = plain()
    container, key, _ = at(document, path)
    container[key] = copy.deepcopy(value)
    assert refusal(document).startswith(f"contract.json: {message}")


def test_newer_schema_wins_over_unknown_fields() -> None:
    document = plain() | {"schema_version": 7, "novelty": {}}
    assert "made by a newer Landbridge: upgrade" in refusal(document)


def test_repeated_field_is_refused() -> None:
    text = json.dumps(plain()).replace('"seed": 1', '"seed": 1, "seed": 2')
    with pytest.raises(BundleError, match=r"^contract.json: seed: appears twice$"):
        from_json(text.encode())


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    with pytest.raises(BundleError, match=r"^contract.json: "):
        from_json(opening * 200_000)


@pytest.mark.parametrize("levels", [40, 900])
def test_deep_nesting_in_free_form_is_refused(levels: int) -> None:
    deep = json.dumps(plain()).replace('"text"', "[" * levels + "]" * levels)
    with pytest.raises(BundleError, match=r"^contract.json: randomisation.pushes.*: nested more than 32 levels deep$"):
        from_json(deep.encode())


# Work that grows with the square of a length would take hours at the size that a file may have.
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joint_names": [f"j{i}" for i in range(150_000)]}, "joint_names: must have 1 to 200 entries, got 150000"),
        (
            {"inputs": [plain()["inputs"][2] | {"name": f"s{i}"} for i in range(10_000)]},
            "inputs: must have at most 200 entries, got 10000",
        ),
        (
            {
                "inputs": [
                    plain()["inputs"][1]
                    | {"shape": [100_000], "elements": [f"j{i}" for i in range(100_000)], "frame": "joint"}
                ]
            },
            "inputs[0].elements[0]: unknown joint 'j0'",
        ),
        ({"k" * 1_000_000: 1}, "must have keys of at most 200 characters"),
    ],
    ids=["joints", "signals", "elements", "key"],
)
def test_flood_is_refused(change: dict[str, Any], message: str) -> None:
    said = refusal(plain() | change)
    assert said.startswith(f"contract.json: {message}")
    assert len(said) < 300


def test_endless_number_is_refused() -> None:
    with pytest.raises(BundleError, match=r"^contract.json: a number has too many digits$"):
        from_json(b'{"schema_version": ' + b"9" * 5000 + b"}")


def test_numpy_float32_is_refused_when_writing() -> None:
    contract = dataclasses.replace(toy_policy.contract(), kp=(np.float32(25.1), 25.0))
    with pytest.raises(BundleError, match=r"^contract.json: kp\[0\]: must be a number, got np.float32"):
        to_json(contract)


def test_same_robot_is_accepted_with_tighter_limits() -> None:
    contract = toy_policy.contract()
    check_robot(contract, toy_policy.ROBOT)
    check_robot(dataclasses.replace(contract, effort_limit=(9.0, 10.0)), toy_policy.ROBOT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"robot": "other"}, "robot: made for 'other', and this robot is 'toy'"),
        ({"joint_names": ("right_joint", "left_joint")}, "joint_names[0]: wrong order: 'right_joint' where"),
        ({"joint_names": ("left_joint", "elbow")}, "joint_names[1]: the robot has no joint 'elbow'"),
        ({"joint_names": ("left_joint",)}, "joint_names: the robot's joint 'right_joint' is missing"),
        (
            {"joint_lower": (-1.0000000001, -1.5)},
            "joint_lower[0]: left_joint: -1.0000000001 loosens the robot's -1.0",
        ),
        ({"joint_upper": (1.5, 1.1)}, "joint_upper[1]: right_joint: 1.1 loosens the robot's 1.0"),
        ({"velocity_limit": (20.0, 21.0)}, "velocity_limit[1]: right_joint: 21.0 loosens the robot's 20.0"),
        ({"effort_limit": (10.5, 10.0)}, "effort_limit[0]: left_joint: 10.5 loosens the robot's 10.0"),
    ],
)
def test_another_robot_is_refused(change: dict[str, Any], message: str) -> None:
    contract = dataclasses.replace(toy_policy.contract(), **change)
    with pytest.raises(BundleError) as caught:
        check_robot(contract, toy_policy.ROBOT)
    assert str(caught.value).startswith(f"contract.json: {message}")
