"""The table of families and methods, counted in a run of their tests.

Writes results/tables/families.md, and the same table between its marks in README.md.

    python benchmarks/families_table.py
"""

import sys
from collections import Counter
from collections.abc import Generator, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.families import FAMILIES

ROOT = Path(__file__).parent.parent
TESTS = [str(ROOT / "tests" / name) for name in ("test_families.py", "test_family_counts.py")]
README, FILE = ROOT / "README.md", ROOT / "results" / "tables" / "families.md"
BEGIN, END = "<!-- families: made by `make families` -->\n", "<!-- end of families -->\n"


class Count:
    """A plugin of pytest that counts the checks of each family and method, by how they ended."""

    def __init__(self) -> None:
        self.passed: Counter[tuple[str, str]] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()
        self.checks: dict[str, None] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        cell: Any = (item.callspec.params.get("family"), item.callspec.params.get("method"))
        if all(cell):
            self.checks[item.originalname.removeprefix("test_").replace("_", " ")] = None
            self.passed[cell] += report.when == "call" and report.passed
            self.failed[cell] += report.failed
        return report

    def said(self, family: str, method: str) -> str:
        """Whether the pair is tested, with the number of checks."""
        passed, failed = self.passed[family, method], self.failed[family, method]
        if failed:
            return f"no ({failed} of {passed + failed} fail)"
        return f"yes ({passed})" if passed else "-"


def table(count: Count, titles: Iterable[str], methods: list[str]) -> str:
    """A row a family, a column a method."""
    rows = [["family", *(f"`{method}`" for method in methods)], ["---"] * (1 + len(methods))]
    for title, family in zip(titles, FAMILIES, strict=True):
        rows.append([title, *(count.said(family, method) for method in methods)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write(count: Count) -> None:
    # late: the type checks of the tests must come before ptbench is imported
    from ptbench import listing
    from ptbench.attention import FAMILIES as TITLES

    made = table(count, TITLES.split(", "), list(listing.choices("method")))
    checks = "".join(f"- {check}\n" for check in sorted(count.checks))
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "transformers"))
    FILE.write_text(
        "# Families and methods\n\nSmall random models, each method as its YAML has it "
        f"({versions}). In brackets: how many checks.\n\n{made}\nThe checks:\n\n{checks}",
        encoding="utf-8",
    )
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{made}{END}{after}", encoding="utf-8")


def main() -> int:
    count = Count()
    status = pytest.main(["-q", *TESTS], [count])
    write(count)
    return status


if __name__ == "__main__":
    sys.exit(main())
