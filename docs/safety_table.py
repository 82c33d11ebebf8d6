"""Writes the table of constraints into docs/safety.md: `make docs`."""

import sys
from pathlib import Path

from deploy_robot.constraint_table import markdown
from deploy_robot.constraints import CONSTRAINTS

PAGE = Path(__file__).with_name("safety.md")
BEGIN = "<!-- constraints: written by `make docs` from deploy_robot/constraints.py -->\n"
END = "<!-- end of constraints -->\n"


def with_table(page: str) -> str:
    """The page with the table of today between the two marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{markdown(CONSTRAINTS)}\n{END}{tail}"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(with_table(target.read_text()))
    print(f"wrote {target}")
