"""The benchmark of the safety properties runs the real test, counts its steps, and does not overlook a finding."""

import subprocess

import pytest

from benchmarks import catalogue, safety
from benchmarks.safety import Outcome, SafetyBenchmark


def test_the_property_test_runs_and_its_steps_are_counted():
    (row,) = SafetyBenchmark(steps=200, steps_a_run=320, workers=1).run()
    assert row.verdict == "yes"
    steps, rest = row.note.split(" steps, ")
    assert int(steps.replace(",", "")) >= 200
    assert rest.endswith("; found: nothing")


def test_runs_go_on_with_other_seeds_until_there_are_enough_steps():
    seeds: list[int] = []

    def test(steps: int, seed: int) -> Outcome:
        assert steps == 400
        seeds.append(seed)
        return Outcome(350)

    (row,) = SafetyBenchmark(steps=1000, steps_a_run=400, workers=1, test=test).run()
    assert seeds == [0, 1, 2]
    assert (row.ours, row.other, row.verdict) == (0, 3, "yes")
    assert row.note == "1,050 steps, seeds 0 to 2; found: nothing"


def test_a_finding_ends_it_and_is_told():
    outcomes = [Outcome(350), Outcome(0, "seed 1: assert nan"), Outcome(350)]
    (row,) = SafetyBenchmark(steps=1000, workers=1, test=lambda steps, seed: outcomes[seed]).run()
    assert (row.ours, row.other, row.verdict) == (1, 2, "no")
    assert row.note == "350 steps, seeds 0 to 1; found: seed 1: assert nan"


@pytest.mark.parametrize(
    ("code", "stdout", "finding"),
    [
        (1, "E       AssertionError: too far\nE   more\n12 steps of the supervisor were generated\n", "too far"),
        (2, "no such file\n", "exit code 2"),
        (0, "1 skipped\n", "exit code 0"),
    ],
)
def test_a_run_that_fails_or_counts_nothing_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, code: int, stdout: str, finding: str
):
    done = subprocess.CompletedProcess([], code, stdout, "")
    monkeypatch.setattr(safety.subprocess, "run", lambda *_, **__: done)
    outcome = safety.run_test(100, 7)
    assert outcome.finding.startswith("seed 7: ")
    assert outcome.finding.endswith(finding)


def test_it_is_not_measured_without_what_it_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(safety, "find_spec", lambda name: None)
    (row,) = SafetyBenchmark().run()
    assert row.verdict == "not measured"
    assert "pip install" in row.note


def test_the_catalogue_knows_it():
    assert isinstance(catalogue.CATALOGUE["safety"].make(quick=True), SafetyBenchmark)
