"""The benchmark of conformance: it judges, keeps what it knows of other engines, and the page has every law."""

from pathlib import Path

import pytest

from benchmarks import conformance
from benchmarks.conformance import ConformanceBenchmark, Verdicts, markdown, read
from contract.errors import LandbridgeError
from sim import engines
from sim.conformance import LAWS, Measurement, Outcome

FALL, ORIENTATION = LAWS[:2]
DOCS = Path(conformance.__file__).parents[1] / "docs"


def verdicts(*outcomes: Outcome) -> Verdicts:
    return Verdicts("cpu", "a machine", "2026-01-02", {outcome.law.name: outcome for outcome in outcomes})


def test_an_engine_is_judged_and_its_row_counts_what_it_keeps(tmp_path: Path):
    page = tmp_path / "docs" / "conformance.md"
    (row,) = ConformanceBenchmark(("mujoco_cpu",), page, (FALL, ORIENTATION)).run()
    assert (row.what, row.ours, row.other, row.verdict) == ("mujoco_cpu", 2, 2, "yes")
    text = page.read_text()
    for law in LAWS:
        assert f"| [{law.name}]" in text
        assert law.statement in text


def test_a_page_keeps_the_engines_that_are_not_run(tmp_path: Path):
    page = tmp_path / "conformance.md"
    elsewhere = verdicts(
        Outcome(FALL, Measurement(0.5, 0.25, "m", "a reason")),
        Outcome(ORIENTATION, not_offered="no orientation"),
        Outcome(LAWS[2], failure="ValueError: no frames"),
    )
    conformance.write(page, {"elsewhere": elsewhere})
    rows = {row.what: row for row in ConformanceBenchmark(("mujoco_cpu",), page, (FALL,)).run()}
    assert read(page.with_suffix(".json"))["elsewhere"] == elsewhere
    assert sorted(rows) == ["elsewhere", "mujoco_cpu"]
    assert (rows["elsewhere"].ours, rows["elsewhere"].other, rows["elsewhere"].verdict) == (0, 2, "no")
    assert "broken: free_fall, frames; not offered: 1" in rows["elsewhere"].note


def test_the_page_tells_kept_broken_missing_and_failed_apart():
    known = {
        "good": verdicts(Outcome(FALL, Measurement(0.125, 0.25, "m", "a reason"))),
        "bad": verdicts(Outcome(FALL, Measurement(0.5, 0.25, "m", "a reason"))),
        "small": verdicts(Outcome(FALL, not_offered="no terrain Rough")),
        "ill": verdicts(Outcome(FALL, failure="RuntimeError: it broke")),
    }
    text = markdown(known)
    line = next(line for line in text.splitlines() if line.startswith(f"| [{FALL.name}]"))
    assert line.endswith("| m | **broken: 0.5 / 0.25** | 0.12 / 0.25 | **error** | no terrain Rough |")
    assert "| `bad` | `good` | `ill` | `small` |" in text
    assert "- `ill`, free_fall: RuntimeError: it broke" in text


def test_an_infinite_deviation_survives_the_file(tmp_path: Path):
    known = {"wild": verdicts(Outcome(FALL, Measurement(float("inf"), 0.25, "m", "a reason")))}
    conformance.write(tmp_path / "page.md", known)
    assert read(tmp_path / "page.json") == known


def test_damaged_verdicts_are_refused_by_name(tmp_path: Path):
    path = tmp_path / "conformance.json"
    path.write_text('{"one": []}')
    with pytest.raises(LandbridgeError, match=r"conformance\.json"):
        read(path)


def test_the_documentation_has_every_law_on_every_engine():
    known = read(DOCS / "conformance.json")
    assert sorted(known) == engines.names()
    for name, found in known.items():
        assert sorted(found.outcomes) == sorted(law.name for law in LAWS), (
            f"{name}: run `python -m benchmarks conformance`"
        )
    assert (DOCS / "conformance.md").read_text() == markdown(known)
