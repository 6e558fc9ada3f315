"""A sweep's records summed up over seeds: what tables and plots both show."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ptbench.paper import Figure, Reference, reference
from ptbench.separable import LEVEL, separation
from ptbench.sweeps import (
    Place,
    Stored,
    Sweep,
    SweepError,
    gather,
    observed,
    score,
    setting_text,
    titles,
)

DASH = "-"


@dataclass(frozen=True)
class Entry:
    """One task of one row: its seeds' scores in points (0 to 100), and how other seeds ended."""

    values: tuple[float, ...]
    failures: tuple[str, ...]
    trainable: float | None  # parameters
    total: float | None  # parameters
    grid: dict[str, str]  # the method's place in the grid: prompt, encoder, head, backbone
    p: float | None = None  # that it differs from the best of its column and model; None: untested
    paper: Figure | None = None

    @property
    def mean(self) -> float | None:
        """Mean over the seeds, in points."""
        return fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds, in points; None below two."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """From the paper's value, in points."""
        known = self.paper.points if self.paper else None
        return None if known is None or self.mean is None else self.mean - known

    @property
    def inseparable(self) -> bool:
        """Whether a test against the best of its column and model finds no difference."""
        return self.p is not None and self.p >= LEVEL

    @property
    def share(self) -> float | None:
        """Trained parameters in % of all."""
        if self.trainable is None or self.total is None:
            return None
        return 100 * self.trainable / self.total

    def text(self, seeds: int) -> str:
        """The entry as printed in a table whose caption promises that many seeds."""
        if self.mean is None:
            return ", ".join(sorted(set(self.failures))) or DASH
        spread = "" if self.deviation is None else f" ± {self.deviation:.1f}"
        notes = [f"n={len(self.values)}"] if len(self.values) != seeds else []
        notes += [f"{count} {status}" for status, count in sorted(Counter(self.failures).items())]
        return f"{self.mean:.1f}{spread}" + (f" ({', '.join(notes)})" if notes else "")


@dataclass(frozen=True)
class Column:
    """A task: its metric, the split reported, the split that chose the checkpoint."""

    task: str
    metric: str
    split: str
    selected: str
    floor: float | None  # score of the majority class, in points


@dataclass(frozen=True)
class Row:
    """A method on a model, at one setting of the extra axes if any, with an entry a column."""

    model: str
    method: str
    title: str
    setting: str
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """The method's title with its setting."""
        return f"{self.title}, {self.setting}" if self.setting else self.title

    @property
    def told(self) -> str:
        """The method's name with its setting."""
        return f"{self.method} ({self.setting})" if self.setting else self.method


@dataclass(frozen=True)
class Table:
    """All that is shown of a sweep."""

    sweep: Sweep
    protocol: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    untested: tuple[tuple[str, str], ...] = ()  # tasks and models, where others are tested
    reference: Reference | None = None  # the paper's table that the sweep names

    @property
    def tested(self) -> bool:
        """Whether any methods are compared by a test."""
        return any(entry.p is not None for row in self.rows for entry in row.entries)

    @property
    def beside(self) -> bool:
        """Whether the paper's figures stand beside ours: not if it has none of these backbones."""
        return self.reference is not None and self.reference.covers(self.sweep.axes["model"])

    @property
    def lacking(self) -> list[tuple[str, str, str, str]]:
        """Task, model, method and metric of each entry that has a score and no paper's value."""
        if not self.reference or not self.beside:
            return []
        return [
            (column.task, self.reference.backbone or row.model, row.told, column.metric)
            for row in self.rows
            for column, entry in zip(self.columns, row.entries, strict=True)
            if entry.paper is None and entry.values
        ]

    @property
    def seeds(self) -> int:
        """How many seeds the sweep asks for."""
        return len(self.sweep.axes["seed"])

    @property
    def whole(self) -> bool:
        """Whether every entry has all its seeds."""
        return all(len(entry.values) == self.seeds for row in self.rows for entry in row.entries)


def table(records: Sequence[Stored], sweep: Sweep | None) -> Table:
    """The table of a sweep, or of all the records if None.

    Raises SweepError where there are no records, a seed of a cell has finished twice, or
    protocols, metrics or splits are mixed.
    """
    sweep = sweep or observed(records)
    places = gather(records, sweep)
    shown = [record for group in places.values() for record in group]
    columns = {task: _column(task, shown) for task in sweep.axes["task"]}
    separated, paper = separation(places), reference(sweep)
    entries = {
        place: _entry(
            group,
            separated.p.get(place),
            paper.figure(place, columns[place.task].metric) if paper else None,
        )
        for place, group in places.items()
    }
    return Table(
        sweep,
        _only((r["config"]["protocol"]["name"] for r in shown), "protocol", sweep.name),
        tuple(columns.values()),
        _rows(entries, sweep, titles(shown, sweep)),
        _notes(shown, left_out=len(records) - len(shown)),
        separated.untested,
        paper,
    )


def _rows(entries: dict[Place, Entry], sweep: Sweep, title: dict[str, str]) -> tuple[Row, ...]:
    rows: dict[tuple[str, str, str], list[Entry]] = {}
    for place, entry in entries.items():
        key = (place.model, place.method, setting_text(sweep, place))
        rows.setdefault(key, []).append(entry)
    return tuple(
        Row(model, method, title[method], setting, tuple(found))
        for (model, method, setting), found in rows.items()
    )


def _entry(group: Sequence[Stored], p: float | None, paper: Figure | None) -> Entry:
    done = [record for record in group if record["status"] == "done"]
    finished = {record["cell"]["seed"] for record in done}
    # A seed that failed and has finished under a mended configuration since is no failure.
    others = {r["cell"]["seed"]: r["status"] for r in group if r["cell"]["seed"] not in finished}
    costs = [record["cost"] for record in done]
    return Entry(
        tuple(100 * score(record) for record in done),
        tuple(others.values()),
        fmean(cost["trainable_parameters"] for cost in costs) if costs else None,
        fmean(cost["total_parameters"] for cost in costs) if costs else None,
        next((dict(r["adaptation"]) for r in [*done, *group] if r.get("adaptation")), {}),
        p,
        paper,
    )


def _column(task: str, records: Sequence[Stored]) -> Column:
    done = [r for r in records if r["cell"]["task"] == task and r["status"] == "done"]
    if not done:
        return Column(task, DASH, DASH, DASH, None)
    floors = [100 * score(record, "floor") for record in done if record["floor"]]
    return Column(
        task,
        _only((r["selection"]["metric"] for r in done), "metric", task),
        _only((split for r in done for split in r["scores"]), "reported split", task),
        _only((r["selection"]["split"] for r in done), "selection split", task),
        fmean(floors) if floors else None,
    )


def _only(values: Iterable[str], what: str, where: str) -> str:
    first, *more = sorted(set(values))
    if more:
        kinds = ", ".join([first, *more])
        raise SweepError(f"{where}: more than one {what} ({kinds}); keep one in its own sweep")
    return first


def _notes(shown: Sequence[Stored], left_out: int) -> tuple[str, ...]:
    """Where the records come from, and what the reader should know about them."""
    commits = sorted({str(record["provenance"]["commit"])[:8] for record in shown})
    dirty = sum(bool(record["provenance"]["dirty"]) for record in shown)
    notes = [f"Records of commit {', '.join(commits)}."]
    if dirty:
        notes.append(
            f"Made from a tree with uncommitted changes: {dirty} of {len(shown)} records; commit "
            "the changes and run these cells again (rerun=true)."
        )
    if left_out:
        notes.append(f"Records outside the sweep's axes, not shown: {left_out}.")
    return tuple(notes)
