"""The command line: what is registered, what `--help` says, and one sentence for every failure."""

import dataclasses
import errno
import inspect
import os
import runpy
import shlex
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import landbridge
from contract.errors import BundleError, LandbridgeError, SafetyError, UsageError
from landbridge import cli, commands, shipped
from policies import bundles

NAMES = sorted(commands.COMMANDS)


def landbridge_process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "landbridge", *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def examples(name: str) -> list[list[str]]:
    """The command lines in a command's docstring, without `landbridge NAME` and what a shell would take away."""
    _, found, text = (inspect.getdoc(commands.COMMANDS[name].load()) or "").partition("Examples:")
    assert found, f"{name} shows no examples"
    lines = [shlex.split(line.partition(" > ")[0], comments=True) for line in text.splitlines()]
    lines = [line for line in lines if line]
    assert lines, f"{name} shows no examples"
    for line in lines:
        assert line[:2] == ["landbridge", name], line
    return [line[2:] for line in lines]


def test_every_command_file_is_registered_and_no_other() -> None:
    files = Path(landbridge.__file__).parent.glob("*.py")
    # The first line of a command's file names the command; other files are what commands share.
    command_files = {file.stem for file in files if file.read_text().startswith('"""`landbridge ')}
    assert command_files == set(commands.COMMANDS)


def test_overview_names_every_command_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for entry in commands.COMMANDS.values():
        assert text.count(f"\n  {entry.name} ") == 1
        assert entry.summary in text


def test_without_arguments_the_overview_is_printed_and_the_exit_code_is_that_of_bad_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([]) == 2
    assert capsys.readouterr().out.startswith("usage: landbridge COMMAND")


def test_overview_imports_nothing_heavy() -> None:
    code = (
        "import sys; from landbridge.cli import main; main(['--help'])\n"
        "heavy = {'numpy', 'onnxruntime', 'torch', 'mujoco', 'rclpy', 'matplotlib', 'rich', 'tyro'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_command_file_imports_nothing_heavy(name: str) -> None:
    code = (
        f"import sys, landbridge.{name}\n"
        "heavy = {'onnxruntime', 'torch', 'mujoco', 'rclpy', 'matplotlib'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_command_is_a_frozen_dataclass_that_runs(name: str) -> None:
    command = commands.COMMANDS[name].load()
    assert dataclasses.is_dataclass(command)
    assert command.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert callable(command.run)


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_examples_and_describes_every_argument(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: landbridge {name}" in text
    assert all(len(line) <= 80 or line.startswith("    landbridge ") for line in text.splitlines())
    for example in examples(name):
        assert " ".join(["landbridge", name, *example])[:60] in text
    # An argument without a description shows only what stands in brackets: (required) or (default: ...).
    flattened = " ".join(line.strip("│ ") for line in text.splitlines())
    for line in text.splitlines():
        cells = line.strip("│ ").split("  ", 1)
        assert len(cells) < 2 or not cells[1].strip().startswith("("), f"{name}: no help for {line}"
    assert flattened.count("Examples:") == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_example_parses(name: str) -> None:
    entry = commands.COMMANDS[name]
    for example in examples(name):
        assert isinstance(cli.parse(entry, example), entry.load())


def test_words_after_the_dashes_reach_the_command_unparsed() -> None:
    train = cli.parse(
        commands.COMMANDS["train"], ["go2-velocity-flat", "--seed", "3", "--", "--seed", "4", "--help", "-x"]
    )
    assert train.seed == 3  # type: ignore[attr-defined]
    assert train.settings == ("--seed", "4", "--help", "-x")  # type: ignore[attr-defined]


def test_words_after_the_dashes_are_refused_by_other_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--", "--seed", "4"]) == 2
    assert "takes nothing after `--`, got --seed 4" in capsys.readouterr().err


def test_bundle_may_be_a_path_or_the_name_of_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "_FOLDER", tmp_path)
    (tmp_path / "walker").mkdir()
    (tmp_path / "walker" / "contract.json").touch()
    assert shipped.find(Path("walker")) == tmp_path / "walker"
    for unknown in ("other", "some/walker"):
        with pytest.raises(UsageError, match=f"{unknown}: no such bundle; .* a shipped one: walker"):
            shipped.find(Path(unknown))
    # What lies in the folder where the user is comes first.
    monkeypatch.chdir(tmp_path)
    assert shipped.find(Path("walker")) == Path("walker")


@pytest.mark.parametrize(
    ("typed", "meant"), [("inspct", "inspect"), ("trian", "train"), ("Doctor", "doctor"), ("--hepl", "help")]
)
def test_unknown_command_names_the_closest(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([typed]) == 2
    said = capsys.readouterr().err
    assert f"'{typed}'" in said
    assert f"did you mean '{meant}'?" in said
    assert len(said.splitlines()) == 1


def test_unknown_flag_names_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--hlep"]) == 2
    said = capsys.readouterr().err
    assert "--hlep" in said
    assert "Traceback" not in said
    assert cli.main(["inspect", "bundle", "--seed", "3"]) == 2
    assert "--seed" in capsys.readouterr().err


def test_missing_argument_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect"]) == 2
    assert "required" in capsys.readouterr().err.lower()


def test_unknown_choice_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "robtos"]) == 2
    assert "robots" in capsys.readouterr().err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Run a command that raises what it is given."""

    def run(error: BaseException) -> int:
        @dataclasses.dataclass(frozen=True)
        class Fake:
            """A command that fails."""

            def run(self) -> int:
                raise error

        monkeypatch.setitem(sys.modules, "landbridge.fake", types.SimpleNamespace(Fake=Fake))  # type: ignore[arg-type]
        monkeypatch.setitem(commands.COMMANDS, "fake", commands.Entry("fake", "Fake", "fails"))
        return cli.main(["fake"])

    return run


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (LandbridgeError("the port is in use"), 1, "the port is in use"),
        (UsageError("unknown robot 'go3'"), 2, "unknown robot 'go3'"),
        (BundleError("contract.json: kp has 11 numbers"), 1, "contract.json: kp has 11 numbers"),
        (SafetyError("the robot is lying down"), 1, "the robot is lying down"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left", "runs/model.pt"), 1, "the disk is full: runs/model.pt"),
        (OSError(errno.EDQUOT, "Quota exceeded"), 1, "the disk is full"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.zip"), 1, "no such file: a.zip"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "pip install 'landbridge[train]'"),
        (ModuleNotFoundError("not there", name="mujoco.rollout"), 1, "pip install 'landbridge[train]'"),
        (ModuleNotFoundError("No module named 'rclpy'", name="rclpy"), 1, "or source the system's ROS 2"),
        (ImportError("librcl.so: cannot open", name="rclpy.x"), 1, "cannot be loaded (librcl.so"),
    ],
)  # fmt: skip
def test_failure_is_one_sentence_and_an_exit_code(
    error: BaseException,
    code: int,
    words: str,
    failing: Callable[[BaseException], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert failing(error) == code
    said = capsys.readouterr().err
    assert said.startswith("landbridge: ")
    assert words in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), ImportError("no such name")])
def test_unexpected_failure_keeps_its_traceback_in_a_file(
    error: Exception,
    failing: Callable[[BaseException], int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert failing(error) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    (kept,) = tmp_path.iterdir()
    assert str(kept) in said
    assert "in run" in kept.read_text()
    assert type(error).__name__ in kept.read_text()


def test_traceback_is_printed_on_request(
    failing: Callable[[BaseException], int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANDBRIDGE_DEBUG", "1")
    assert failing(BundleError("broken")) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize(("raised", "code"), [(SystemExit(), 0), (SystemExit(3), 3), (SystemExit("no"), 1)])
def test_exit_codes_of_commands_that_exit_by_themselves(
    raised: SystemExit, code: int, failing: Callable[[BaseException], int]
) -> None:
    assert failing(raised) == code


def test_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = landbridge_process("list", "robots", stdout=write)
    finally:
        os.close(write)
    assert done.returncode == cli.BROKEN_PIPE
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_under_stdout_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = landbridge_process("list", "robots", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "landbridge: the disk is full; free some space and run the same command again\n"


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"landbridge {version('landbridge')}\n"


def test_list_names_robots_tasks_and_engines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    for title in ("robots", "tasks", "recipes", "engines", "drivers", "bundles"):
        assert f"{title}:\n" in text
    for name in ("unitree_go2", "go2-velocity-flat", "mujoco_cpu", "emulated"):
        assert f"  {name}" in text


def test_list_of_one_kind_shows_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "robots"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "robots:"


def test_shipped_bundles_are_found_by_name() -> None:
    for name in bundles.names():
        assert (bundles.path(name) / "policy.onnx").is_file()
    with pytest.raises(UsageError, match="unknown bundle 'go2-velocty-flat'"):
        bundles.path("go2-velocty-flat")


def test_command_page_of_the_documentation_is_up_to_date() -> None:
    docs = Path(landbridge.__file__).parents[1] / "docs"
    reference = runpy.run_path(str(docs / "cli_reference.py"))["reference"]
    assert (docs / "cli.md").read_text() == reference(), "run `make docs`"
