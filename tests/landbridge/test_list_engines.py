"""`landbridge list engines`: what each engine can do and cannot, and how to get those that are not installed."""

import pytest

from contract import robots
from landbridge import cli
from landbridge.extras import EXTRAS
from sim import engines

INSTALLED = [name for name in engines.names() if engines.missing_module(name) is None]


def listed(capsys: pytest.CaptureFixture[str], what: str = "engines") -> dict[str, str]:
    """What is said of each engine, on one line."""
    assert cli.main(["list", what]) == 0
    text = capsys.readouterr().out.partition("engines:\n")[2]
    said: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if not line.startswith("  "):
            break  # the next kind
        name = line[2:25].strip() or name
        said.setdefault(name, []).append(line[25:].strip())
    return {name: " ".join(lines) for name, lines in said.items()}


def test_every_engine_is_listed_with_what_it_can_do_and_its_limits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    said = listed(capsys)
    assert sorted(said) == engines.names()
    for name in INSTALLED:
        can = engines.capabilities(name, robots.load("unitree_go2"))
        assert said[name].startswith("installed; on cpu")
        assert ("trains" in said[name].split("randomises")[0]) == can.trains
        for part in (*can.parameters, *can.terrains, *can.limits, *can.devices):
            assert part in said[name]


def test_every_engine_that_is_here_says_what_it_does_less_exactly() -> None:
    for name in INSTALLED:
        assert engines.capabilities(name, robots.load("unitree_go2")).limits


def test_the_list_of_everything_has_one_line_an_engine(capsys: pytest.CaptureFixture[str]) -> None:
    said = listed(capsys, "all")
    assert sorted(said) == engines.names()
    assert not any("randomises" in line for line in said.values())


@pytest.mark.parametrize("name", engines.names())
def test_an_engine_that_is_not_installed_says_how_to_get_it(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = engines._MODULES[name][0]
    monkeypatch.setattr(engines, "missing_module", lambda asked: module if asked == name else None)
    monkeypatch.setattr("landbridge.list._about_engine", lambda asked: ["installed"])
    said = listed(capsys)
    extra = next(extra for extra in EXTRAS if module in extra.modules)
    assert said.pop(name) == f"not installed: {extra.how}"
    assert set(said.values()) == {"installed"}


def test_an_engine_is_described_without_being_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told in advance is what the engine then has."""
    robot = robots.load("unitree_go2")
    told = engines.capabilities("mujoco_cpu", robot)
    engine = engines.make("mujoco_cpu", robot, num_envs=1, physics_dt=0.005, decimation=4, threads=0)
    assert engine.capabilities == told
    engine.close()
