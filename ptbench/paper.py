"""The papers' own values, as results/paper has them, by ptbench's names."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ptbench.errors import PtbenchError, did_you_mean
from ptbench.paths import PAPER, ROOT
from ptbench.sweeps import canonical

COLUMNS = (
    *("table", "backbone", "millions", "variant", "dataset", "measure", "value", "evidence"),
    *("source", "task", "model", "method", "settings", "metric"),
)
EVIDENCE = ("seen", "recalled")
PLAIN = ("null", "false", "alone", "own")  # a sweep's values that leave a method as it is
MEAN = "mean"  # over a sweep's axis, as LAMA's value is over its relations


class PaperError(PtbenchError):
    """A paper's values that cannot be read."""


@dataclass(frozen=True)
class Fact:
    """One value of a paper's table, in points where its score is one of 0 to 1.

    Without `task` it has no counterpart here. The paper need not say which checkpoint its backbone
    is: `models` are those that it may be, or none that is configured here.
    """

    table: str
    backbone: str
    millions: float  # parameters of the backbone
    value: float
    evidence: str  # "seen" in a copy of the paper, or "recalled"
    source: str
    task: str
    models: tuple[str, ...]
    method: str
    settings: Mapping[str, str]
    metric: str


def facts(table: str | None, folder: Path = PAPER) -> list[Fact]:
    """The values of a table such as ptuning_v2/table2 that have a counterpart; none for None.

    Raises PaperError where there is no such paper, or its file is faulty.
    """
    if table is None:
        return []
    paper, _, name = table.partition("/")
    known = sorted(file.stem for file in folder.glob("*.csv"))
    if paper not in known or not name:
        raise PaperError(
            f"paper={table}: say <paper>/<table>, such as ptuning_v2/table2; "
            f"{did_you_mean(paper, known)}"
        )
    return [f for f in read(file_of(table, folder)) if f.table == name and f.task]


def file_of(table: str, folder: Path = PAPER) -> Path:
    """Where the values of a table such as ptuning_v2/table2 are."""
    return folder / f"{table.partition('/')[0]}.csv"


def read(file: Path) -> list[Fact]:
    """All values of a paper. Raises PaperError naming file, line, column, value and remedy."""
    with file.open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream)
        if (header := next(lines, [])) != list(COLUMNS):
            raise PaperError(f"{shown(file)}, line 1: {header} are not the columns {COLUMNS}")
        found: dict[tuple[object, ...], Fact] = {}
        for cells in lines:
            fact = _fact(cells, f"{shown(file)}, line {lines.line_num}")
            settings = frozenset(fact.settings.items())
            what = (fact.table, fact.backbone, fact.task, fact.method, settings, fact.metric)
            if fact.task and what in found:
                raise PaperError(
                    f"{shown(file)}, line {lines.line_num}: the value of {fact.task}, "
                    f"{fact.backbone}, {fact.method} stands there twice; delete one"
                )
            found[what if fact.task else (len(found),)] = fact
    return list(found.values())


def fitting(
    found: Iterable[Fact], task: str, method: str, settings: Mapping[str, str]
) -> list[Fact]:
    """The values of a task and method at these settings, of all backbones and scores.

    Settings that change nothing (PLAIN) count as none; one that is averaged over says MEAN.
    """
    other = {key: value for key, value in settings.items() if value not in PLAIN}
    return [f for f in found if (f.task, f.method, dict(f.settings)) == (task, method, other)]


def averaged(found: Iterable[Fact]) -> set[str]:
    """The settings over which values of the paper are means."""
    return {key for fact in found for key, value in fact.settings.items() if value == MEAN}


def shown(file: Path) -> Path:
    """The file as one would name it in the checkout."""
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file


def _fact(cells: Sequence[str], where: str) -> Fact:
    if len(cells) != len(COLUMNS):
        raise PaperError(f"{where}: {len(cells)} cells, where {len(COLUMNS)} columns are")
    told = dict(zip(COLUMNS, cells, strict=True))
    for column in ("table", "backbone", "source"):
        if not told[column]:
            raise PaperError(f"{where}, {column}: it is empty; say it")
    if told["evidence"] not in EVIDENCE:
        raise PaperError(f"{where}, evidence: {told['evidence']!r}; say {' or '.join(EVIDENCE)}")
    named = [bool(told[column]) for column in ("task", "method", "metric")]
    if any(named) != all(named):
        raise PaperError(f"{where}: give task, method and metric, or none of them")
    pairs = [pair.partition("=") for pair in told["settings"].split()]
    if bad := [key for key, equals, value in pairs if not (key and equals and value)]:
        raise PaperError(f"{where}, settings: {bad[0]!r}; write key=value key=value")
    return Fact(
        table=told["table"],
        backbone=told["backbone"],
        millions=_number(told, "millions", where) if told["millions"] else math.inf,
        value=_number(told, "value", where),
        evidence=told["evidence"],
        source=told["source"],
        task=told["task"],
        models=tuple(told["model"].split()),
        method=told["method"],
        settings={key: canonical(value) for key, _, value in pairs},
        metric=told["metric"],
    )


def _number(told: Mapping[str, str], column: str, where: str) -> float:
    try:
        value = float(told[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PaperError(
            f"{where}, {column}: {told[column]!r} is no number; write one, such as 75.8"
        )
    return value
