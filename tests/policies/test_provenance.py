"""Provenance: true where there is something to know, silent where there is not, and without local paths."""

import dataclasses
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch

from contract import codec
from policies import provenance, recipes
from sim import tasks

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "source.py").write_text("x = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "source.py")
    return tmp_path


@needs_git
def test_commit_and_changes_are_seen(checkout: Path) -> None:
    source = checkout / "source.py"
    assert provenance.git_state(source) == (None, None)  # no commit yet
    git(checkout, "commit", "--quiet", "-m", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    assert provenance.git_state(source) == (commit, False)
    source.write_text("x = 2\n")
    assert provenance.git_state(source) == (commit, True)


@needs_git
def test_checkout_around_an_installed_copy_is_not_ours(checkout: Path) -> None:
    git(checkout, "commit", "--quiet", "-m", "first")
    installed = checkout / "venv" / "source.py"
    installed.parent.mkdir()
    installed.write_text("x = 1\n")
    assert provenance.git_state(installed) == (None, None)


def test_outside_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state(tmp_path / "source.py") == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert provenance.git_state(Path(provenance.__file__)) == (None, None)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["/usr/local/bin/landbridge", "train", "go2"], "landbridge train go2"),
        (["/home/me/landbridge/__main__.py", "train"], "landbridge train"),
        (["landbridge", "--out", "/home/me/runs", "--to=/data/me/x.zip"], "landbridge --out runs --to=x.zip"),
        (["landbridge", "--out", "runs/a", "--note", "two words"], "landbridge --out runs/a --note 'two words'"),
        (["landbridge", "a\nb\x1b[2J"], "landbridge 'a b [2J'"),
    ],
)
def test_command_line_has_no_absolute_paths(argv: list[str], line: str) -> None:
    assert provenance.command_line(argv) == line


def test_what_is_collected_fits_the_contract_and_names_no_path() -> None:
    argv = ["/usr/bin/landbridge", "train", "/tmp/secret/place"]
    collected = provenance.collect({"lr": 0.1}, seed=4, training={"steps": 7, "wall_time_s": 1.5}, argv=argv)
    data = codec.dumps(collected, "contract.json")
    assert collected.seed == 4
    assert collected.training == {"steps": 7, "wall_time_s": 1.5}
    assert collected.packages["torch"] == torch.__version__
    assert datetime.fromisoformat(collected.created).tzinfo is not None
    assert "/tmp" not in data.decode()
    assert str(Path(__file__).parents[2]) not in data.decode()


class Kind(Enum):
    A = 1
    B = 2


def tilted(limit: float, gain: float = 1.0) -> Callable[[float], bool]:
    def check(angle: float) -> bool:
        return gain * angle > limit

    return check


def with_default(angle: float, limit: float = 1.0) -> bool:
    return angle > limit


@dataclasses.dataclass(frozen=True)
class Config:
    lr: float = 1e-3
    hidden: tuple[int, ...] = (64, 64)
    kind: Kind = Kind.A
    check: Callable[[float], bool] = dataclasses.field(default_factory=lambda: tilted(1.0))
    table: dict[str, float] = dataclasses.field(default_factory=lambda: {"a": 1.0, "b": 2.0})
    limits: object = None


def test_equal_settings_have_equal_hashes() -> None:
    assert provenance.config_hash(Config()) == provenance.config_hash(Config(check=tilted(1.0)))
    reordered = Config(table={"b": 2.0, "a": 1.0})
    assert provenance.config_hash(Config()) == provenance.config_hash(reordered)


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 1.0000000000000002e-3},
        {"hidden": (64, 65)},
        {"kind": Kind.B},
        {"check": tilted(1.1)},
        {"check": tilted(1.0, gain=2.0)},
        {"check": with_default},
        {"table": {"a": 1.0}},
        {"limits": np.array([1.0, 2.0])},
        {"limits": torch.tensor([1.0, 2.5])},
        {"limits": PurePosixPath("a/b.xml")},
        {"limits": Config},
    ],
)
def test_another_setting_has_another_hash(change: dict[str, object]) -> None:
    assert provenance.config_hash(Config()) != provenance.config_hash(dataclasses.replace(Config(), **change))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(TypeError, match="a configuration may not hold Random"):
        provenance.config_hash({"generator": random.Random(1)})


def test_every_task_and_recipe_has_a_hash_that_another_process_finds_too() -> None:
    script = """
import json
from policies import provenance, recipes
from sim import tasks
found = {n: provenance.config_hash(tasks.load(n)) for n in tasks.names()}
found |= {f"recipe {n}": provenance.config_hash(recipes.load(n)) for n in recipes.names()}
print(json.dumps(found))
"""
    here = {name: provenance.config_hash(tasks.load(name)) for name in tasks.names()}
    here |= {f"recipe {name}": provenance.config_hash(recipes.load(name)) for name in recipes.names()}
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == here
