"""The table of a sweep as Markdown, as CSV and in the terminal."""

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable

from ptbench.paths import TABLES
from ptbench.separable import LEVEL
from ptbench.summary import DASH, Row, Table, table

__all__ = [
    "Pieces",
    "Table",
    "pieces",
    "render",
    "table",
    "to_csv",
    "to_markdown",
    "to_terminal",
    "write",
]

INSEPARABLE = "†"
GRID = ("prompt", "encoder", "head", "backbone")
Lines = list[list[str]]  # the first is the header


class Pieces(NamedTuple):
    """What each form of a table lays out."""

    main: Lines
    numbers: range  # the columns of main that hold numbers
    methods: Lines
    caption: list[str]


def to_markdown(table: Table) -> str:
    """The table, its caption and its methods as Markdown; the same text for the same records."""
    described = f"{table.sweep.description}.\n\n" if table.sweep.description else ""
    caption = "\n".join(f"- {line}" for line in _caption(table))
    main = _pipes(_main(table, lambda text: f"**{text}**"), _numbers(table))
    methods = _pipes(_methods(table), range(0))
    return f"# {table.sweep.name}\n\n{described}{main}\n\n{caption}\n\n## Methods\n\n{methods}\n"


def to_csv(table: Table) -> str:
    """One line a task and row: scores in points to 4 decimals; empty where nothing is known."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    place = ["sweep", "protocol", "task", "model", "method", "title", "setting"]
    score = ["metric", "split", "mean", "deviation", "n", "failures", "floor"]
    test = ["p_best"] if table.tested else []  # against the best of the column and model
    lines.writerow([*place, *score, "trainable_parameters", "trainable_percent", *GRID, *test])
    for row in table.rows:
        for column, entry in zip(table.columns, row.entries, strict=True):
            lines.writerow(
                [table.sweep.name, table.protocol, column.task, row.model, row.method]
                + [row.title, row.setting, column.metric, column.split]
                + [_number(entry.mean), _number(entry.deviation), len(entry.values)]
                + [" ".join(sorted(entry.failures)), _number(column.floor)]
                + [_number(entry.trainable), _number(entry.share)]
                + [entry.grid.get(field, "") for field in GRID]
                + [_number(entry.p) for _ in test]
            )
    return out.getvalue()


def to_terminal(table: Table, console: Console) -> None:
    """Print the table, its caption and its methods."""
    main = _main(table, lambda text: f"[bold]{text}[/bold]")
    console.print(_rich(table.sweep.name, main, _numbers(table)))
    for line in _caption(table):
        console.print(f"- {line}", markup=False, highlight=False)
    console.print(_rich("Methods", _methods(table), range(0)))


def render(table: Table) -> dict[str, str]:
    """All files of a table, by their names; the same texts for the same records."""
    texts = {".md": to_markdown(table), ".csv": to_csv(table)}
    return {f"{table.sweep.name}{ending}": text for ending, text in texts.items()}


def pieces(table: Table, bold: Callable[[str], str]) -> Pieces:
    """The table's texts, for a form that lays them out itself."""
    return Pieces(_main(table, bold), _numbers(table), _methods(table), _caption(table))


def write(table: Table, folder: Path = TABLES) -> list[Path]:
    """Write what `render` gives, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / name: text for name, text in render(table).items()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _labels(table: Table) -> int:
    """How many columns name a row: the method, and the model where there are several."""
    return 2 if len(table.sweep.axes["model"]) > 1 else 1


def _numbers(table: Table) -> range:
    """Which columns of the main table are set to the right: the scores and the share."""
    return range(_labels(table), _labels(table) + len(table.columns) + 1)


def _main(table: Table, bold: Callable[[str], str]) -> Lines:
    """The scores, with the best mean of each column and model in bold."""
    fields = ["backbone", *(["head"] if len(_heads(table)) > 1 else [])]
    names = ["model", "method"][-_labels(table) :]
    floors = [DASH if c.floor is None else f"{c.floor:.1f}" for c in table.columns]
    lines = [
        [*names, *(f"{c.task} ({c.metric})" for c in table.columns), "trainable", *fields],
        [*[""] * (len(names) - 1), "majority floor", *floors, *[DASH] * (1 + len(fields))],
    ]
    for row in table.rows:
        rivals = [other for other in table.rows if other.model == row.model]
        scores = []
        for place, entry in enumerate(row.entries):
            means = [r.entries[place].mean or 0.0 for r in rivals]
            # As printed: two methods that read the same are both best.
            best = entry.mean is not None and f"{entry.mean:.1f}" == f"{max(means):.1f}"
            text = entry.text(table.seeds)
            mark = f" {INSEPARABLE}" if entry.inseparable else ""
            scores.append(bold(text) if best else f"{text}{mark}")
        told = [_told(table, row, field) for field in fields]
        lines.append([*[row.model, row.label][-len(names) :], *scores, _share(row), *told])
    return lines


def _methods(table: Table) -> Lines:
    """What each method is: where its prompt enters, its encoder, its head and its backbone."""
    names = ["model", "method"][-_labels(table) :]
    rows = {(row.model, row.method): row for row in table.rows}
    return [[*names, *GRID]] + [
        [*[row.model, row.title][-len(names) :], *(_told(table, row, field) for field in GRID)]
        for row in rows.values()
    ]


def _caption(table: Table) -> list[str]:
    known = [column for column in table.columns if column.split != DASH]
    reported = _agree((c.task, c.split) for c in known)
    selected = _agree((c.task, c.selected) for c in known)
    how = f"selection split {selected}; reported split {reported}"
    if selected == reported:
        how = f"best checkpoint on the reported split itself: {reported}"
    several = f"{table.seeds} seeds: mean ± sample standard deviation"
    models = table.sweep.axes["model"]
    return [
        f"Sweep {table.sweep.name}, {several if table.seeds > 1 else '1 seed'}, in points (0-100).",
        f"Protocol {table.protocol}: {how}.",
        f"Backbone{'s' if len(models) > 1 else ''}: {', '.join(models)}. "
        "Trainable: trained parameters in % of all.",
        f"Bold: highest mean of a column{' and model' if len(models) > 1 else ''}; "
        "it implies no significance.",
        *_tests(table),
        *table.notes,
    ]


def _tests(table: Table) -> list[str]:
    if not table.tested:
        return []
    several = len(table.sweep.axes["model"]) > 1
    column = "column and model" if several else "column"
    names = [f"{task} ({model})" if several else task for task, model in table.untested]
    untested = f" Not tested: {', '.join(names)}." if names else ""
    return [
        f"{INSEPARABLE}: not separable from the best of its {column} at level {LEVEL:g} (t test "
        "paired by seed and example, Holm's adjustment over all pairs of methods in the table)."
        f"{untested}"
    ]


def _heads(table: Table) -> set[str]:
    return {e.grid["head"] for row in table.rows for e in row.entries if e.grid}


def _told(table: Table, row: Row, field: str) -> str:
    pairs = zip(table.columns, row.entries, strict=True)
    return _agree((c.task, e.grid[field]) for c, e in pairs if e.grid)


def _agree(pairs: Iterable[tuple[str, str]]) -> str:
    """The value on which all tasks agree, or each value with its tasks."""
    tasks: dict[str, list[str]] = {}
    for task, value in pairs:
        tasks.setdefault(value, []).append(task)
    if len(tasks) < 2:
        return next(iter(tasks), DASH)
    return ", ".join(f"{value} ({', '.join(names)})" for value, names in tasks.items())


def _share(row: Row) -> str:
    """The row's trainable share in %, as a range where the tasks differ."""
    shares = sorted(entry.share for entry in row.entries if entry.share is not None)
    ends = dict.fromkeys(
        f"{share:.0f}" if share >= 10 else f"{share:.2g}" for share in (*shares[:1], *shares[-1:])
    )
    return f"{'-'.join(ends)} %" if ends else DASH


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def _pipes(lines: Lines, numbers: range) -> str:
    header, *body = lines
    rule = ["---:" if place in numbers else "---" for place in range(len(header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *body])


def _rich(title: str, lines: Lines, numbers: range) -> RichTable:
    header, *body = lines
    shown = RichTable(title=title)
    for place, name in enumerate(header):
        shown.add_column(name, justify="right" if place in numbers else "left")
    for line in body:
        shown.add_row(*line)
    return shown
