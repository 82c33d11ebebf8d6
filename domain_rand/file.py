"""Randomisations as JSON files: what training reads, and what measuring and identifying tools write."""

import json
from pathlib import Path

from contract import codec
from contract.errors import UsageError
from contract.storage import replace_file
from domain_rand.distributions import MOST_VALUES
from domain_rand.samples import read_samples
from domain_rand.spec import Randomisation, parse_terms

SCHEMA_VERSION = 1


def read(path: Path) -> Randomisation:
    """A randomisation from a file.

    In place of its `values` an empirical distribution may have a `file`, relative to this one. What comes out holds the
    values themselves.

    Raises:
        UsageError: `PATH: FIELD: what is wrong`.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)
        if not isinstance(document, dict):
            codec.fail("", f"must be an object, got {codec.show(document)}")
        for name in ("schema_version", "terms"):
            if name not in document:
                codec.fail(name, "missing")
        for name in document:
            if name not in ("schema_version", "terms"):
                codec.fail(name, "unknown field")
        version = codec.decode(int, document["schema_version"], "schema_version")
        if version != SCHEMA_VERSION:
            codec.fail("schema_version", f"must be {SCHEMA_VERSION}, got {version}")
        return parse_terms(_with_samples(document["terms"], path.parent, "terms"), "terms")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not a randomisation: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}: is not JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise UsageError(f"{path}: is nested too deeply") from None
    except codec.FieldError as error:
        raise UsageError(f"{path}: {error}") from None


def write(path: Path, randomisation: Randomisation) -> None:
    """Write a file that `read` gives back, with all values in it.

    Raises:
        OSError: the disk is full or not writable.
    """
    replace_file(path, (json.dumps(content(randomisation), indent=2) + "\n").encode())


def content(randomisation: Randomisation) -> dict[str, object]:
    """What is in such a file."""
    return {"schema_version": SCHEMA_VERSION, "terms": randomisation.describe()}


def _with_samples(value: object, directory: Path, where: str) -> object:
    """JSON with the values of each empirical distribution's file in its place."""
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "empirical" and "file" in value:
        if "values" in value:
            codec.fail(f"{where}.file", "there are values, too: leave one of both out")
        name = codec.decode(str, value["file"], f"{where}.file")
        samples = read_samples(directory / name)
        if len(samples) > MOST_VALUES:
            codec.fail(f"{where}.file", f"{name} holds {len(samples)} values, more than {MOST_VALUES}: thin them out")
        value = {**{key: item for key, item in value.items() if key != "file"}, "values": list(samples)}
    return {key: _with_samples(item, directory, f"{where}.{key}") for key, item in value.items()}


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    for name, _ in pairs:
        if [other for other, _ in pairs].count(name) > 1:
            codec.fail(name, "appears twice")
    return dict(pairs)
