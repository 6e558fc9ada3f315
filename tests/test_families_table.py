"""README's table of families and methods: whole, and as the run of the tests left it."""

from ptbench import listing
from ptbench.attention import FAMILIES as TITLES
from ptbench.paths import ROOT, TABLES
from tests.families import FAMILIES

STALE = "run `make families`"


def cells(text: str) -> list[list[str]]:
    """The table that begins with the families, its header first and without the rule below it."""
    lines = text[text.index("| family |") :].split("\n\n")[0].splitlines()
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines if line[0] == "|"
    ]
    return [rows[0], *rows[2:]]


WRITTEN = cells((TABLES / "families.md").read_text(encoding="utf-8"))


def test_readme_shows_the_table_that_was_written() -> None:
    assert cells((ROOT / "README.md").read_text(encoding="utf-8")) == WRITTEN, STALE


def test_it_has_every_method_and_every_family() -> None:
    assert WRITTEN[0] == ["family", *listing.choices("method")], STALE
    titles = [row[0] for row in WRITTEN[1:]]
    assert titles == TITLES.split(", "), STALE
    for title, family in zip(titles, FAMILIES, strict=True):
        assert squeezed(family).startswith(squeezed(title))


def squeezed(name: str) -> str:
    """Letters and digits alone."""
    return "".join(filter(str.isalnum, name.lower()))
