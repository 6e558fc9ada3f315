"""The table of a sweep as Markdown, as LaTeX, as CSV and in the terminal."""

import csv
import io
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from ptbench.across import Across, across
from ptbench.entry import Entry
from ptbench.latex import to_latex
from ptbench.layout import (
    GRID,
    Lines,
    caption,
    filled,
    main,
    methods,
    numbers,
)
from ptbench.layout_across import over_tasks, over_tasks_caption
from ptbench.paths import TABLES
from ptbench.summary import Table, table

__all__ = [
    "Table",
    "render",
    "table",
    "to_csv",
    "to_latex",
    "to_markdown",
    "to_terminal",
    "write",
]


def to_markdown(table: Table) -> str:
    """The table, its caption and its methods as Markdown; the same text for the same records."""
    described = f"{table.sweep.description}.\n\n" if table.sweep.description else ""
    notes = "\n".join(f"- {line}" for line in caption(table))
    scores = _pipes(main(table), numbers(table))
    grid = _pipes(methods(table), range(0))
    whole = f"# {table.sweep.name}\n\n{described}{scores}\n\n{notes}\n\n## Methods\n\n{grid}\n"
    return whole + "".join(map(_section, across(table)))


def to_csv(table: Table) -> str:
    """One line a task and row: scores in points to 4 decimals; empty where nothing is known."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    place = ["sweep", "protocol", "task", "model", "method", "title", "setting"]
    score = ["metric", "split", "mean", "deviation", "n", "failures", "floor"]
    test = ["p_best"] if table.tested else []  # against the best of the column and model
    paper = ["paper", "difference", "paper_evidence", "paper_source"] if table.beside else []
    cost = ["trainable_parameters", "trainable_percent"]
    lines.writerow([*place, *score, *cost, *GRID, *test, *paper])
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
                + (_beside(entry) if paper else [])
            )
    return out.getvalue()


def to_terminal(table: Table, console: Console) -> None:
    """Print the table, its caption and its methods."""
    console.print(_rich(table.sweep.name, main(table), numbers(table)))
    for line in caption(table):
        console.print(f"- {line}", markup=False, highlight=False)
    console.print(_rich("Methods", methods(table), range(0)))
    for one in across(table):
        console.print(_rich(f"Over tasks: {one.model}", over_tasks(one), range(1, 4)))
        for line in over_tasks_caption(one):
            console.print(f"- {line}", markup=False, highlight=False)


def render(table: Table) -> dict[str, str]:
    """All files of a table, by their names; the same texts for the same records."""
    texts = {".md": to_markdown(table), ".csv": to_csv(table), ".tex": to_latex(table)}
    return {f"{table.sweep.name}{ending}": text for ending, text in texts.items()}


def write(table: Table, folder: Path = TABLES) -> list[Path]:
    """Write what `render` gives, and say where."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / name: text for name, text in render(table).items()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _section(one: Across) -> str:
    """The methods over all tasks, under their own heading."""
    notes = "\n".join(f"- {line}" for line in over_tasks_caption(one))
    body = _pipes(over_tasks(one), range(1, 4))
    return f"\n## Over tasks: {one.model}\n\n{body}\n\n{notes}\n"


def _beside(entry: Entry) -> list[str]:
    figure = entry.paper
    if figure is None:
        return [""] * 4
    value = figure.text if figure.points is None else _number(figure.points)
    evidence = "recalled" if figure.unverified else "seen"
    return [value, _number(entry.difference), evidence, figure.source]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def _pipes(lines: Lines, numbers: range) -> str:
    header, *body = filled(lines, lambda text: f"**{text}**")
    rule = ["---:" if place in numbers else "---" for place in range(len(header))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *body])


def _rich(title: str, lines: Lines, numbers: range) -> RichTable:
    header, *body = filled(lines, lambda text: f"[bold]{text}[/bold]", escape)
    shown = RichTable(title=title)
    for place, name in enumerate(header):
        shown.add_column(name, justify="right" if place in numbers else "left")
    for line in body:
        shown.add_row(*line)
    return shown
