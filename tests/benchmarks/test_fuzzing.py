"""The fuzzer finds every kind of fault, counts what it tried, and outlives what it tests."""

import subprocess
from pathlib import Path
from random import Random

import fuzz_victims
import pytest
from fuzz_victims import first_fault

from benchmarks import catalogue
from benchmarks.fuzz import FuzzBenchmark
from benchmarks.fuzzing import coverage, protobuf, worker
from benchmarks.fuzzing.catalogue import all_targets
from benchmarks.fuzzing.mutations import change_document, damage
from benchmarks.fuzzing.protobuf import BYTES, VARINT, Field
from benchmarks.fuzzing.worker import fuzz

SEED = 3


def test_a_sound_reader_is_counted():
    outcome = fuzz(fuzz_victims.victims, "sound", 0.3, SEED, patience=60.0)
    assert outcome.findings == []
    assert 0 < outcome.accepted < outcome.tried


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("raises", "IndexError: index out of range"),
        ("accepts", "Violation: accepted a five"),
        ("mumbles", "Violation: refused in an unreadable way: 'line\\nbreak'"),
    ],
)
def test_a_fault_is_found_with_the_number_of_its_input(name: str, found: str):
    outcome = fuzz(fuzz_victims.victims, name, 5.0, SEED, patience=60.0)
    assert outcome.findings[0] == f"input {first_fault(name, SEED)}: {found}"
    assert outcome.tried > outcome.accepted


def test_a_reader_that_dies_is_found_again_and_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_MAX_FINDINGS", 2)
    outcome = fuzz(fuzz_victims.victims, "dies", 60.0, SEED, patience=60.0)
    assert len(outcome.findings) == 2
    assert outcome.findings[0] == f"input {first_fault('dies', SEED)}: ends the process with exit code -9"
    assert outcome.tried > first_fault("dies", SEED) + 1


def test_a_reader_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_MAX_FINDINGS", 1)
    outcome = fuzz(fuzz_victims.victims, "hangs", 60.0, SEED, patience=0.5)
    assert outcome.findings == [f"input {first_fault('hangs', SEED)}: hangs for more than 0.5 s"]


def test_a_target_that_cannot_be_made_is_no_success():
    outcome = fuzz(fuzz_victims.unusable, "sound", 0.3, SEED, patience=60.0)
    assert outcome.findings == ["cannot be set up: ends the process with exit code 1"]


def test_the_benchmark_says_how_many_inputs_and_what_was_found(monkeypatch: pytest.MonkeyPatch):
    outcomes = iter([worker.Outcome(100, 40), worker.Outcome(50, 10, ["input 7: hangs"])])
    monkeypatch.setattr("benchmarks.fuzz.fuzz", lambda *_: next(outcomes))
    monkeypatch.setattr(coverage, "available", lambda: False)
    benchmark = FuzzBenchmark(factory=lambda scratch: fuzz_victims.victims(scratch)[:2])
    good, bad, absent = benchmark.run()
    assert good.note == "100 inputs, 60 refused, 40 sound; found: nothing"
    assert (good.ours, good.other, good.verdict) == (0, 100, "yes")
    assert bad.note == "50 inputs, 39 refused, 10 sound; found: input 7: hangs"
    assert (bad.ours, bad.verdict) == (1, "no")
    assert absent.verdict == "not measured"
    assert "atheris" in absent.note


def test_the_catalogue_knows_it():
    assert isinstance(catalogue.CATALOGUE["fuzz"].make(quick=True), FuzzBenchmark)


def test_every_real_target_takes_its_seed(tmp_path: Path):
    targets = all_targets(tmp_path)
    assert len({target.name for target in targets}) == len(targets) > 5
    for target in targets:
        assert target.accepts(target.seed), target.name


# -- guided by coverage ---------------------------------------------------------------------------------------------


def guided(monkeypatch: pytest.MonkeyPatch, code: int, stderr: str) -> worker.Outcome:
    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert argv[3] == "golden.npz"
        assert "-max_total_time=2" in argv
        return subprocess.CompletedProcess(argv, code, "", stderr)

    monkeypatch.setattr(coverage.subprocess, "run", run)
    return coverage.fuzz_guided("golden.npz", 2.0, SEED)


def test_the_runs_of_libfuzzer_are_counted(monkeypatch: pytest.MonkeyPatch):
    outcome = guided(monkeypatch, 0, "Done\nstat::number_of_executed_units: 123\nstat::peak_rss_mb: 9\n")
    assert (outcome.tried, outcome.findings) == (123, [])


def test_what_libfuzzer_stops_at_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    trace = " === Uncaught Python exception: ===\nViolation: accepted it\n==1== ERROR: libFuzzer: fuzz target exited\n"
    assert guided(monkeypatch, 77, f"{trace}stat::number_of_executed_units: 5\n").findings == ["Violation: accepted it"]
    assert guided(monkeypatch, -9, "").findings == ["exit code -9"]
    assert guided(monkeypatch, 0, "").findings  # that nothing was counted is no success either


# -- changes --------------------------------------------------------------------------------------------------------


def test_changes_are_the_same_for_the_same_draws():
    document = b'{"a": [1, 2.5, "x"], "b": {"c": null}}'
    for change in (damage, change_document):
        made = [change(Random(i), document) for i in range(100)]
        assert made == [change(Random(i), document) for i in range(100)]
        assert len(set(made)) > 50
        assert document == b'{"a": [1, 2.5, "x"], "b": {"c": null}}'


def test_an_unchanged_message_is_encoded_as_it_was():
    fields = [
        Field(1, VARINT, 2**63),
        Field(7, BYTES, content=Field(2, 5, content=b"abcd").encoded()),
        Field(3, 1, content=bytes(8)),
    ]
    data = protobuf.encode(fields)
    decoded = protobuf.decode(data, {"m": {7: "n"}, "n": {}}, "m")
    assert protobuf.encode(decoded) == data
    assert decoded[1].inner == [Field(2, 5, content=b"abcd")]


def test_a_disguised_tag_is_longer_and_means_the_same_in_32_bits():
    plain, padded, beyond = (
        Field(13, BYTES, tag_size=s, tag_excess=e).encoded() for s, e in ((0, 0), (5, 0), (0, 2**32))
    )
    assert plain == b"\x6a\x00"
    assert padded == b"\xea\x80\x80\x80\x00\x00"
    assert beyond == b"\xea\x80\x80\x80\x10\x00"
