"""What stands in a table, in rows of cells and lines of caption, before it is put into a format."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ptbench.entry import DASH, Entry
from ptbench.separable import LEVEL
from ptbench.summary import Row, Table

INSEPARABLE, UNVERIFIED = "†", "‡"
GRID = ("prompt", "encoder", "head", "backbone")


class Cell(NamedTuple):
    """A text, whether it is the best of its column, and what follows that is not."""

    text: str
    best: bool = False
    rest: str = ""


Lines = list[list[Cell]]  # the first is the header


def filled(
    lines: Lines, bold: Callable[[str], str], plain: Callable[[str], str] = str
) -> list[list[str]]:
    """The cells as one text each, in a format that says what is bold and what has to be escaped."""
    return [
        [(bold if best else str)(plain(text)) + plain(rest) for text, best, rest in line]
        for line in lines
    ]


def main(table: Table) -> Lines:
    """The scores, with the best mean of each column and model marked."""
    fields = ["backbone", *(["head"] if len(_heads(table)) > 1 else [])]
    names = ["model", "method"][-_labels(table) :]
    floors = [DASH if c.floor is None else f"{c.floor:.1f}" for c in table.columns]
    beside = f": {' / '.join(['ours', 'paper', *_apart(table)])}" if table.beside else ""
    heads = [f"{c.task} ({c.metric}){beside}" for c in table.columns]
    lines = [
        plain([*names, *heads, "trainable", *fields]),
        plain(
            [*[""] * (len(names) - 1), "majority floor", *floors, *[DASH] * (1 + len(fields))],
        ),
    ]
    highest = _highest(table)
    for row in table.rows:
        scores = [
            _score(table, entry, best)
            for entry, best in zip(row.entries, highest[row.model], strict=True)
        ]
        told = [_told(table, row, field) for field in fields]
        labels = [row.model, row.label][-len(names) :]
        lines.append([*plain(labels), *scores, *plain([_share(row), *told])])
    return lines


def numbers(table: Table) -> range:
    """Which columns of the main table are set to the right: the scores and the share."""
    return range(_labels(table), _labels(table) + len(table.columns) + 1)


def methods(table: Table) -> Lines:
    """Where each method's prompt enters, its encoder, head and backbone; by setting if they differ.

    A setting without a record has no line beside others that have one.
    """
    names = ["model", "method"][-_labels(table) :]
    lines = [plain([*names, *GRID])]
    kinds: dict[tuple[str, str], list[tuple[Row, list[str]]]] = {}
    for row in table.rows:
        told = [_told(table, row, field) for field in GRID]
        kinds.setdefault((row.model, row.method), []).append((row, told))
    for rows in kinds.values():
        known = [(row, told) for row, told in rows if any(entry.grid for entry in row.entries)]
        alike = all(told == known[0][1] for _, told in known)
        for row, told in (known or rows)[: 1 if alike else None]:
            name = row.title if alike else row.label
            lines.append(plain([*[row.model, name][-len(names) :], *told]))
    return lines


def caption(table: Table) -> list[str]:
    """How the scores were made and what the marks mean, a sentence or two a line."""
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
        *_paper(table),
        *table.notes,
    ]


def _score(table: Table, entry: Entry, highest: str) -> Cell:
    # As printed: two methods that read the same are both best.
    best = entry.mean is not None and f"{entry.mean:.1f}" == highest
    mark = f" {INSEPARABLE}" if entry.inseparable and not best else ""
    return Cell(
        entry.text(table.seeds), best, mark + (_beside(table, entry) if table.beside else "")
    )


def _beside(table: Table, entry: Entry) -> str:
    """The paper's value, and the difference from it if one is taken, behind ours."""
    value = apart = DASH
    if entry.paper is not None:
        mark = UNVERIFIED if entry.paper.unverified else ""
        points = entry.paper.points
        value = f"{entry.paper.text if points is None else f'{points:.1f}'}{mark}"
        apart = DASH if entry.difference is None else f"{entry.difference:+.1f}"
    return "".join(f" / {text}" for text in (value, *(apart for _ in _apart(table))))


def _apart(table: Table) -> list[str]:
    """The column of differences, where backbones are the paper's own."""
    return [] if table.reference and table.reference.backbone else ["difference"]


def _highest(table: Table) -> dict[str, list[str]]:
    """The highest mean of each model and column, as printed."""
    means: dict[str, list[list[float]]] = {}
    for row in table.rows:
        means.setdefault(row.model, []).append([entry.mean or 0.0 for entry in row.entries])
    return {
        model: [f"{max(column):.1f}" for column in zip(*rows, strict=True)]
        for model, rows in means.items()
    }


def _paper(table: Table) -> list[str]:
    """What stands beside our scores, and what it is not."""
    if table.reference is None:
        return []
    name, backbone = table.reference.name, table.reference.backbone
    if not table.beside:
        known = (
            f"{name} has no figure" if table.reference.holds else f"no figure of {name} is known"
        )
        return [
            f"Paper: {known} for {'this backbone' if _labels(table) < 2 else 'these backbones'}."
        ]
    own = "on this backbone" if _labels(table) < 2 else "on these backbones"
    how = f"on {backbone}, another backbone, and on other data" if backbone else own
    what = (
        "Its values are a reference only."
        if backbone
        else "Difference: ours less the paper's, in points."
    )
    unverified = any(e.paper and e.paper.unverified for row in table.rows for e in row.entries)
    return [
        f"Paper: {name}, {how}; one run of the authors, its best epoch on the reported split. "
        f"{what}",
        *([f"{UNVERIFIED}: recalled, not seen in the paper: unverified."] if unverified else []),
    ]


def _labels(table: Table) -> int:
    """How many columns name a row: the method, and the model where there are several."""
    return 2 if len(table.sweep.axes["model"]) > 1 else 1


def plain(texts: Iterable[str]) -> list[Cell]:
    """Cells of which none is the best."""
    return [Cell(text) for text in texts]


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
