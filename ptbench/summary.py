"""A sweep's records summed up over seeds: what tables and plots both show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from ptbench.entry import DASH, Entry, entered
from ptbench.macro import Places, averaged
from ptbench.paper import Reference, missing, reference
from ptbench.separable import separation
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


@dataclass(frozen=True, eq=False)
class Table:
    """All that is shown of a sweep."""

    sweep: Sweep
    protocol: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    places: Places  # what it sums up
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
    def gap(self) -> str:
        """What to say of those; nothing where there are none."""
        if not self.reference or not (lacking := self.lacking):
            return ""
        return missing(self.reference.name, lacking, self.reference.file)

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
    found = gather(records, sweep := sweep or observed(records))
    notes = _notes(sweep, found, len(records))
    places, sweep = averaged(found, sweep)
    shown = [record for group in places.values() for record in group]
    columns = {task: _column(task, shown) for task in sweep.axes["task"]}
    separated, paper = separation(places), reference(sweep)
    entries = {
        place: entered(
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
        notes,
        places,
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


def _notes(sweep: Sweep, places: Places, records: int) -> tuple[str, ...]:
    """Where the records come from, and what the reader should know about them."""
    shown = [record for group in places.values() for record in group]
    commits = sorted({str(record["provenance"]["commit"])[:8] for record in shown})
    dirty = sum(bool(record["provenance"]["dirty"]) for record in shown)
    notes = [f"Records of commit {', '.join(commits)}."]
    if sweep.mean:
        parts = len(sweep.axes[sweep.mean])
        notes.insert(0, f"Each seed's score is the mean over {parts} values of {sweep.mean}.")
    if dirty:
        notes.append(
            f"Made from a tree with uncommitted changes: {dirty} of {len(shown)} records; commit "
            "the changes and run these cells again (rerun=true)."
        )
    if sweep.trials:
        notes.insert(0, f"Each score is that of the best of a search's trials: {records} in all.")
    elif left_out := records - len(shown):
        notes.append(f"Records outside the sweep's axes, not shown: {left_out}.")
    return tuple(notes)
