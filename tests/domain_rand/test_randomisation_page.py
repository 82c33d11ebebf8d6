"""docs/randomisation.md: its table is today's, and its example is one."""

import json
import re
import runpy
from pathlib import Path

import domain_rand
from domain_rand import file
from domain_rand.distributions import Empirical

DOCS = Path(domain_rand.__file__).parents[1] / "docs"
PAGE = (DOCS / "randomisation.md").read_text()


def test_documentation_has_the_table_of_today():
    assert runpy.run_path(str(DOCS / "randomisation_table.py"))["with_table"](PAGE) == PAGE, "run `make docs`"


def test_the_example_can_be_read(tmp_path):
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.json").write_text(example)
    (tmp_path / "delays.csv").write_text("0.004\n0.006\n")
    spec = file.read(tmp_path / "mine.json")
    assert [term.parameter for term in spec.terms] == list(json.loads(example)["terms"])
    assert spec.terms[-1].distribution == Empirical((0.004, 0.006))
