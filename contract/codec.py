"""JSON <-> trees of frozen dataclasses: the dataclass is the schema, and a refusal names the field's path.

Strict on purpose, since a robot acts on what is read: every field must be there and none may be unknown; no
type is coerced except a JSON integer where a float is expected; numbers must be finite; strings must be
printable, so that nothing in a file can drive a terminal; a key may appear once. Length and depth are bounded, so
that what is read here cannot exhaust what works on it later.
"""

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from contract.errors import BundleError

T = TypeVar("T")

_MAX_INT = 2**63 - 1
_MAX_TEXT = 10_000  # characters of a string
_MAX_KEY = 200  # characters of a name
_MAX_DEPTH = 32  # of free-form JSON; far from where Python's own recursion ends, whoever calls


class FieldError(Exception):
    """One field is wrong. `loads` and `dumps` turn it into a BundleError that names the file too."""


def fail(where: str, message: str) -> NoReturn:
    """Raise FieldError for the field at path `where` (`""` is the whole document)."""
    raise FieldError(f"{where}: {message}" if where else message)


def loads(cls: type[T], data: bytes, file: str, first: Callable[[object], None] = lambda plain: None) -> T:
    """Parse JSON bytes into dataclass `cls`; BundleError `FILE: FIELD: why` where they do not fit.

    Args:
        file: what messages call it.
        first: looks at the plain JSON before it is decoded; raises FieldError.
    """
    try:
        plain = _parse_json(data)
        first(plain)
        tree: T = decode(cls, plain, "")
    except FieldError as error:
        raise BundleError(f"{file}: {error}") from None
    return tree


def dumps(tree: object, file: str) -> bytes:
    """Readable JSON of a dataclass tree; BundleError as in `loads` where the result could not be read back.

    Floats are written by `repr`, hence read back bit for bit.
    """
    plain = _encode(tree)
    try:
        decode(type(tree), plain, "")
    except FieldError as error:
        raise BundleError(f"{file}: {error}") from None
    return (_format(plain, 0) + "\n").encode("ascii")


def _parse_json(data: bytes) -> object:
    """JSON bytes to plain Python values; refuses repeated keys, leaves NaN for `decode` to name."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError:
        fail("", "not UTF-8 text")
    except json.JSONDecodeError as error:
        fail("", f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except RecursionError:
        fail("", "nested too deeply")
    except ValueError:  # Python's bound on the digits of an integer
        fail("", "a number has too many digits")


def decode(hint: Any, value: object, where: str) -> Any:
    """Check plain JSON against a type and convert it: dataclass, tuple, Mapping, Any or a scalar."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            fail(where, f"must be a list, got {show(value)}")
        return tuple(decode(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        return {name: decode(args[1], item, _join(where, name)) for name, item in _mapping(value, where).items()}
    if origin in (Union, types.UnionType):  # only `X | None` is used
        return None if value is None else decode(args[0], value, where)
    if hint is Any:
        return _check_free_form(value, where)
    return _decode_scalar(hint, value, where)


def show(value: object) -> str:
    """A value in an error message: one line, bounded."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _decode_dataclass(cls: Any, value: object, where: str) -> Any:
    given = _mapping(value, where)
    hints = _hints(cls)
    for name in given:
        if name not in hints:
            fail(_join(where, name), "unknown field")
    for name in hints:
        if name not in given:
            fail(_join(where, name), "missing")
    fields = {name: decode(hint, given[name], _join(where, name)) for name, hint in hints.items()}
    try:
        return cls(**fields)
    except ValueError as error:  # the dataclass's own invariants
        fail(where, str(error))


def _decode_scalar(hint: Any, value: object, where: str) -> object:
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            fail(where, f"must be a number, got {show(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            fail(where, f"must be finite, got {show(number)}")
        return number
    if hint is str:
        if not isinstance(value, str):
            fail(where, f"must be a string, got {show(value)}")
        return _printable(value, where)
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            fail(where, f"must be an integer, got {show(value)}")
        if abs(value) > _MAX_INT:
            fail(where, "integer out of range")
        return value
    if hint is bool:
        if not isinstance(value, bool):
            fail(where, f"must be true or false, got {show(value)}")
        return value
    raise TypeError(f"{where}: no JSON form for {hint!r}")


def _check_free_form(value: object, where: str, depth: int = 0) -> object:
    if depth > _MAX_DEPTH:
        fail(where, f"nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        items = _mapping(value, where).items()
        return {name: _check_free_form(item, _join(where, name), depth + 1) for name, item in items}
    if isinstance(value, list):
        return [_check_free_form(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    for scalar in (int, float, str):
        if isinstance(value, scalar):
            return _decode_scalar(scalar, value, where)
    fail(where, f"must be a JSON value, got {show(value)}")


def _mapping(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        fail(where, f"must be an object, got {show(value)}")
    for name in value:
        if not isinstance(name, str) or not name or not name.isprintable():
            fail(where, f"must have printable strings for keys, got {show(name)}")
        if len(name) > _MAX_KEY:
            fail(where, f"must have keys of at most {_MAX_KEY} characters, got {show(name)}")
    return value


def _printable(text: str, where: str) -> str:
    if len(text) > _MAX_TEXT:
        fail(where, f"must have at most {_MAX_TEXT} characters, got {len(text)}")
    if not text.isprintable():
        fail(where, f"must be one line of printable text, got {show(text)}")
    return text


def _join(where: str, name: str) -> str:
    name = name if name.isprintable() and len(name) <= _MAX_KEY else show(name)
    return f"{where}.{name}" if where else name


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for name, value in pairs:
        if name in result:
            fail(_join("", name), "appears twice")
        result[name] = value
    return result


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _encode(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encode(item) for item in value]
    return value


def _format(value: Any, depth: int) -> str:
    """JSON with lists of scalars on one line, so that the file can be read and diffed."""
    if isinstance(value, dict | list) and value:
        items = value.values() if isinstance(value, dict) else value
        if isinstance(value, list) and not any(isinstance(item, dict | list) for item in items):
            return json.dumps(value)
        lines = [_format(item, depth + 1) for item in items]
        if isinstance(value, dict):
            lines = [f"{json.dumps(name)}: {line}" for name, line in zip(value, lines, strict=True)]
        inner, outer = "  " * (depth + 1), "  " * depth
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return f"{opening}\n{inner}" + f",\n{inner}".join(lines) + f"\n{outer}{closing}"
    return json.dumps(value)
