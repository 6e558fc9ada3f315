"""What a paper says beside what we found."""

from collections.abc import Mapping
from statistics import fmean
from typing import NamedTuple

from ptbench import paper
from ptbench.forms import Section
from ptbench.paper import Fact
from ptbench.summary import DASH, Column, Row, Table

UNVERIFIED, OTHER = "‡", "§"
CSV = ("paper", "paper_backbone", "paper_metric", "paper_evidence", "difference")


class Beside(NamedTuple):
    """A task of a row, or of the rows over whose settings the paper's value is a mean."""

    group: int  # the same for all tasks of these rows
    rows: tuple[Row, ...]
    place: int  # of the column
    settings: Mapping[str, str]
    fact: Fact | None

    @property
    def means(self) -> list[float]:
        """Ours, of each row that has one."""
        found = (row.entries[self.place].mean for row in self.rows)
        return [mean for mean in found if mean is not None]

    def difference(self, table: Table) -> float | None:
        """Ours less the paper's, where backbone and score are the same."""
        column = table.columns[self.place]
        if self.fact is None or not self.means or not same_backbones(table):
            return None
        return fmean(self.means) - self.fact.value if self.fact.metric == column.metric else None


def besides(table: Table) -> list[Beside]:
    """Every task of every row, with the paper's value if it has one."""
    averaged = paper.averaged(table.paper)
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in table.rows:
        groups.setdefault((row.model, row.method, *_settings(row, averaged).items()), []).append(
            row
        )
    return [
        Beside(group, tuple(rows), place, settings, _fact(table, column, rows[0], settings))
        for group, rows in enumerate(groups.values())
        for settings in [_settings(rows[0], averaged)]
        for place, column in enumerate(table.columns)
    ]


def same_backbones(table: Table) -> bool:
    """Whether the paper has a backbone of the sweep; if not, its values are a mere reference."""
    kept = {model for fact in table.paper for model in fact.models}
    return not kept.isdisjoint(table.sweep.axes["model"])


def section(table: Table) -> Section | None:
    """Ours, the paper's and the difference; None where no value of the paper fits the sweep."""
    found = besides(table)
    told = {one.group for one in found if one.fact}
    if not told:
        return None
    names = ["model", "method"][-1 if len(table.sweep.axes["model"]) == 1 else 0 :]
    last = "difference" if same_backbones(table) else "the paper's backbone"
    lines = [[*names, "task", "ours", "paper", last]]
    for one in found:
        if one.group in told:
            row, column = one.rows[0], table.columns[one.place]
            metric = one.fact.metric if one.fact and column.metric == DASH else column.metric
            named = [row.model, _label(one)][-len(names) :]
            lines.append([*named, f"{column.task} ({metric})", _ours(table, one)])
            lines[-1] += [_value(one.fact, column), _last(table, one)]
    numbers = range(len(names) + 1, len(names) + 3 + same_backbones(table))
    return Section("Beside the paper", lines, numbers, tuple(_caption(table, found)))


class Columns(NamedTuple):
    """The paper's values as columns of the CSV, with the cells of each row and task."""

    names: tuple[str, ...]
    found: Mapping[tuple[int, int], Beside]
    table: Table

    def cells(self, row: int, place: int) -> list[str]:
        """Of that row and column of the table; a mean over rows stands with none of them."""
        one = self.found.get((row, place))
        if one is None or one.fact is None:
            return [""] * len(self.names)
        fact, difference = one.fact, one.difference(self.table)
        told = "" if difference is None else f"{difference:.4f}".rstrip("0").rstrip(".")
        return [f"{fact.value:g}", fact.backbone, fact.metric, fact.evidence, told]


def columns(table: Table) -> Columns:
    """None where nothing of the paper is kept."""
    places = {id(row): number for number, row in enumerate(table.rows)}
    alone = [one for one in besides(table) if len(one.rows) == 1]
    return Columns(
        CSV if table.paper else (),
        {(places[id(one.rows[0])], one.place): one for one in alone},
        table,
    )


def missing(table: Table) -> list[str]:
    """What to say of each value that the table wants and results/paper lacks."""
    if table.sweep.paper is None:
        return []
    file = paper.shown(paper.file_of(table.sweep.paper))
    what, remedy = table.sweep.paper, f"to add it, write a line in {file} (README.md beside it)"
    if not table.paper:
        return [f"{what}: none of its values are kept; {remedy}"]
    tasks: dict[int, list[Beside]] = {}
    for one in besides(table):
        if one.fact is None:
            tasks.setdefault(one.group, []).append(one)
    model = same_backbones(table)
    return [
        f"{what} has no value for task {', '.join(table.columns[one.place].task for one in ones)}, "
        f"model {ones[0].rows[0].model if model else 'any'}, method {ones[0].rows[0].method}"
        f"{''.join(f', {key}={value}' for key, value in ones[0].settings.items())}; {remedy}"
        for ones in tasks.values()
    ]


def _settings(row: Row, averaged: set[str]) -> dict[str, str]:
    return {key: paper.MEAN if key in averaged else v for key, v in row.settings.items()}


def _fact(table: Table, column: Column, row: Row, settings: Mapping[str, str]) -> Fact | None:
    """The value by the same score if there is one, of the row's or of the smallest backbone."""
    found = paper.fitting(table.paper, column.task, row.method, settings)
    if same_backbones(table):
        found = [fact for fact in found if row.model in fact.models]
    same = [fact for fact in found if fact.metric == column.metric] or found
    return min(same, key=lambda fact: fact.millions, default=None)


def _label(one: Beside) -> str:
    row = one.rows[0]
    if len(one.rows) == 1:
        return row.label
    kept = [f"{k.rpartition('.')[2]} {v}" for k, v in one.settings.items() if v != paper.MEAN]
    return ", ".join([row.title, *kept])


def _ours(table: Table, one: Beside) -> str:
    if len(one.rows) == 1:
        return one.rows[0].entries[one.place].text(table.seeds)
    if not one.means:
        return DASH
    return f"{fmean(one.means):.1f} (mean of {len(one.means)} of {len(one.rows)})"


def _value(fact: Fact | None, column: Column) -> str:
    if fact is None:
        return DASH
    marks = [UNVERIFIED] if fact.evidence == "recalled" else []
    marks += [OTHER] if column.metric not in (DASH, fact.metric) else []
    return " ".join([f"{fact.value:g}" if fact.value % 1 else f"{fact.value:.1f}", *marks])


def _last(table: Table, one: Beside) -> str:
    if not same_backbones(table):
        return one.fact.backbone if one.fact else DASH
    difference = one.difference(table)
    return DASH if difference is None else f"{difference:+.1f}"


def _caption(table: Table, found: list[Beside]) -> list[str]:
    facts = [(one.fact, table.columns[one.place]) for one in found if one.fact]
    sources = "; ".join(dict.fromkeys(fact.source for fact, _ in facts))
    name = (table.sweep.paper or "").partition("/")[2]
    how = "Difference: our mean less the paper's value, in points."
    if not same_backbones(table):
        how = (
            "Its backbones and data differ from ours: its values, of its smallest backbone that "
            "has one, are a reference only."
        )
    lines = [f"Paper: {sources}, {name}. {how}"]
    if any(fact.evidence == "recalled" for fact, _ in facts):
        lines.append(f"{UNVERIFIED}: unverified, recalled and not seen in a copy of the paper.")
    if other := sorted({f.metric for f, c in facts if c.metric not in (DASH, f.metric)}):
        lines.append(f"{OTHER}: by another score ({', '.join(other)}).")
    if averaged := sorted(paper.averaged(f for f, _ in facts)):
        lines.append(f"The paper's value is a mean over {', '.join(averaged)}, and so is ours.")
    return lines
