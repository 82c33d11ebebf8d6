"""What a user installs: every file is in the wheel, the base needs no simulator, versions are pinned."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import toy_policy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from landbridge.extras import BASE, EXTRAS

ROOT = Path(__file__).parents[2]
PACKAGES = ("contract", "deploy_robot", "domain_rand", "hil_tests", "landbridge", "policies", "sim")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

# Everything that a robot computer does not have.
NOT_ON_A_ROBOT = (
    "torch", "mujoco", "onnx", "onnxscript", "tensorboard", "matplotlib", "PIL", "imageio_ffmpeg", "pytest",
)  # fmt: skip

BLOCKED = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_ON_A_ROBOT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources without pip or network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=ignore)
    shutil.copytree(ROOT / "tests", source / "tests", ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def run_blocked(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    prefix = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", prefix + BLOCKED + code],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_holds_every_source_and_data_file(wheel: Path) -> None:
    shipped = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - shipped == set()


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_wheel_has_licence_and_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (licence,) = (name for name in archive.namelist() if name.endswith("LICENSE"))
    assert "Apache License" in archive.read(licence).decode()
    (commands,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "landbridge = landbridge.cli:entry_point" in archive.read(commands).decode()


def test_robot_computer_reads_verifies_and_lists_without_training_code(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    bundle = toy_policy.write(tmp_path / "toy")
    code = f"""
import contract.bundle
assert contract.__file__.startswith({str(installed)!r}), contract.__file__
import deploy_robot.onnx_policy, deploy_robot.supervisor
from landbridge.cli import main
assert main(["--help"]) == 0
assert main(["list"]) == 0
assert main(["inspect", {str(bundle)!r}]) == 0
"""
    done = run_blocked(code, installed)
    assert done.returncode == 0, done.stderr
    assert "toy-task" in done.stdout
    assert "landbridge[train]" in done.stdout  # what the list says of tasks and engines


def test_command_that_needs_an_extra_says_which() -> None:
    code = """
from landbridge.cli import main
sys.exit(main(["train", "go2-velocity-flat"]))
"""
    done = run_blocked(code, ROOT)
    assert done.returncode == 1
    assert "pip install 'landbridge[train]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_constraints_are_exact_versions_and_nothing_else() -> None:
    for line in PINS:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line
    names = [line.partition("==")[0] for line in PINS]
    assert names == sorted(set(names))


def test_constraints_cover_all_that_is_installed() -> None:
    pins = dict(line.split("==") for line in PINS)
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["train"], *extras["ros"], *extras["dev"]]
    todo = [Requirement(text) for text in asked]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(key)
        assert key[0] in pins, f"{key[0]} is installed by make, and constraints.txt does not pin it"
        assert requirement.specifier.contains(pins[key[0]]), f"{requirement} excludes {pins[key[0]]}"
        for text in metadata.requires(requirement.name) or ():
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in requirement.extras or {""}]
            if needed.marker is None or any(needed.marker.evaluate(e) for e in environments):
                needed.marker = None
                todo.append(needed)


def test_extras_are_those_that_the_command_line_knows() -> None:
    declared = set(PROJECT["optional-dependencies"]) - {"benchmark"}  # for `make benchmark` alone
    assert {extra.name for extra in EXTRAS} == declared


@pytest.mark.parametrize("extra", [BASE, *(e for e in EXTRAS if e.name in ("train", "ros", "dev"))])
def test_modules_of_an_extra_are_what_its_distributions_bring(extra) -> None:
    texts = PROJECT["optional-dependencies"][extra.name] if extra.name else PROJECT["dependencies"]
    distributions = {canonicalize_name(Requirement(text).name) for text in texts}
    brought: set[str] = set()
    for module, names in metadata.packages_distributions().items():
        if module in extra.modules:
            brought |= {re.sub("^ros-(kilted-)?", "ros-", canonicalize_name(name)) for name in names}
    wanted = {re.sub("^ros-(kilted-)?", "ros-", name) for name in distributions}
    # The middleware is loaded by rclpy, never imported.
    assert wanted - brought <= {"ros-rmw-fastrtps-cpp"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_names_its_targets_and_refuses_an_old_python(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    listed = make(tmp_path)
    assert listed.returncode == 0
    for target in ("demo", "test", "lint", "benchmark", "clean"):
        assert re.search(rf"^  {target} +\S", listed.stdout, re.MULTILINE), target
    refused = make(tmp_path, "lint", "PYTHON=/no/such/python")
    assert refused.returncode != 0
    assert "Landbridge needs Python 3.11 or newer" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)
