"""`landbridge doctor`: each check sees what it is for, and nothing optional makes it fail."""

import dataclasses
import os
import socket
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_robot import ros_environment
from landbridge import cli, doctor, machine
from landbridge.extras import BASE, EXTRAS, Extra, extra_with
from landbridge.machine import Finding


@pytest.fixture
def taken() -> Iterator[int]:
    """A UDP port that another program holds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_taken_port_is_named(taken: int) -> None:
    assert not machine.port_is_free(taken, "127.0.0.1")
    finding = machine.ports((taken,), "127.0.0.1")
    assert not finding.ok
    assert str(taken) in finding.detail
    assert finding.remedy


def test_port_is_free_again_after_the_check(taken: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        attempt.bind(("127.0.0.1", 0))
        port = attempt.getsockname()[1]
    assert machine.ports((port,), "127.0.0.1").ok
    assert machine.ports((port,), "127.0.0.1").ok


def test_ros_domain_is_free_or_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._domain().ok
    monkeypatch.setattr(ros_environment, "_has_participants", lambda domain: True)
    finding = doctor._domain()
    assert not finding.ok
    assert "no ROS domain" in finding.detail
    assert finding.remedy


def test_affinity_and_kernel_say_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"isolated": "1", "realtime": "1"}
    monkeypatch.setattr(machine, "_kernel_says", lambda path: said[path.name])
    assert machine.processor_affinity().ok
    assert "kept free of other work: 1" in machine.processor_affinity().detail
    assert machine.kernel().ok
    said = {"isolated": "", "realtime": ""}
    monkeypatch.setattr(machine.platform, "version", lambda: "#1 SMP")
    for finding in (machine.processor_affinity(), machine.kernel()):
        assert not finding.ok
        assert finding.remedy
    assert ",".join(map(str, sorted(os.sched_getaffinity(0)))) in machine.processor_affinity().detail


def test_probe_survives_a_crash_and_gives_the_last_line() -> None:
    assert machine.probe("print('first'); print('last')") == (True, "last")
    ok, said = machine.probe("raise ValueError('why')")
    assert not ok
    assert said == "ValueError: why"
    ok, _ = machine.probe("import os; os.abort()")
    assert not ok


def test_probe_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PROBE_TIMEOUT", 0.2)
    ok, said = machine.probe("import time; time.sleep(60)")
    assert not ok
    assert "no answer" in said


def test_refused_real_time_priority_comes_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "probe", lambda code: (False, "PermissionError"))
    finding = machine.real_time_scheduling()
    assert not finding.ok
    assert "rtprio" in finding.remedy
    monkeypatch.setattr(machine, "probe", lambda code: (True, ""))
    assert machine.real_time_scheduling().ok


@pytest.mark.parametrize(("limit", "ok"), [(-1, True), (8_000_000, False), (10**10, True)])
def test_memory_locking_limit(limit: int, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (limit, limit))
    finding = machine.memory_locking()
    assert finding.ok is ok
    assert bool(finding.remedy) is not ok


def test_full_disk_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 10, 0))
    assert not machine.disk(tmp_path).ok


def test_machine_without_a_gpu_says_that_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "not needed" in machine.gpu().remedy


def test_missing_module_is_named_with_the_way_to_get_it() -> None:
    extra = Extra("train", "train", ("numpy", "no_such_module_anywhere"))
    finding = doctor._packages(extra)
    assert not finding.ok
    assert "missing: no_such_module_anywhere" in finding.detail
    assert "pip install 'landbridge[train]'" in finding.remedy


def test_installed_extra_shows_versions() -> None:
    import numpy

    finding = doctor._packages(Extra("x", "x", ("numpy",)))
    assert finding == Finding("[x]", True, f"numpy {numpy.__version__}")


def test_abilities_follow_from_what_is_there() -> None:
    there, lacking = Finding("here", True, ""), Finding("[train]", False, "")
    abilities = doctor._abilities(there, lacking, there, there)
    able = {finding.what: finding.ok for finding in abilities}
    assert able["inspect, verify"]
    assert able["run"]
    assert not able["train, check"]
    assert not able["demo"]
    assert "needs [train]" in {finding.remedy for finding in abilities}


def test_every_lacking_thing_comes_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    lacking = [i for i, line in enumerate(lines) if line.startswith("  -- ")]
    for i in lacking:
        assert lines[i + 1].startswith(" " * 20), lines[i]
    for what in ("python", "processors", "memory", "disk", "rclpy", "real-time priority", "video", "demo"):
        assert any(line[5:].startswith(what) for line in lines), what
    for extra in EXTRAS:
        assert any(f"[{extra.name}]" in line for line in lines)


def test_broken_base_installation_is_the_only_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = Finding("nothing", False, "", "remedy")
    for check in ("gpu", "real_time_scheduling", "processors"):
        monkeypatch.setattr(machine, check, lambda: nothing)
    monkeypatch.setattr(doctor, "_domain", lambda: nothing)
    monkeypatch.setattr(doctor, "_ros", lambda installed: nothing)
    monkeypatch.setattr(doctor, "_video", lambda installed: nothing)
    assert cli.main(["doctor"]) == 0
    broken = dataclasses.replace(BASE, modules=(*BASE.modules, "no_such_module_anywhere"))
    monkeypatch.setattr(doctor, "BASE", broken)
    assert cli.main(["doctor"]) == 1
    assert "no_such_module_anywhere" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "name"), [("torch", "train"), ("mujoco.rollout", "train"), ("sensor_msgs.msg", "ros")]
)
def test_extra_of_a_module(module: str, name: str) -> None:
    extra = extra_with(module)
    assert extra is not None
    assert extra.name == name


def test_module_of_no_extra() -> None:
    assert extra_with("no_such_module_anywhere") is None
    assert extra_with("") is None
