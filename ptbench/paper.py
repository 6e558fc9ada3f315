"""The papers' own figures, to stand beside ours: results/paper/<paper>.csv, with their sources."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from ptbench.errors import PtbenchError, did_you_mean
from ptbench.paths import PAPER, ROOT
from ptbench.sweeps import CELL, Place, Sweep, canonical

COLUMNS = ("table", "task", "model", "method", "settings", "metric", "unit", "value")
SOURCE = ("evidence", "source")
UNITS = {"points": 1, "plain": 100}  # what makes points of a value
EVIDENCE = ("seen", "recalled")
NONE = "-"  # as a value: the paper has none


class PaperError(PtbenchError):
    """A file of paper figures, or what a sweep says of one, that cannot be used."""


@dataclass(frozen=True)
class Figure:
    """What a paper prints, and in points where it is a number."""

    text: str
    points: float | None
    unverified: bool  # from memory, not seen in the paper
    source: str


class Key(NamedTuple):
    """What a figure is of, in this suite's words; settings but `null`, by config key."""

    table: str
    task: str
    model: str
    method: str
    settings: frozenset[tuple[str, str]]
    metric: str


@dataclass(frozen=True)
class Reference:
    """The paper's table beside a sweep; every row is compared with `backbone` if there is one."""

    name: str
    backbone: str | None
    file: Path
    figures: Mapping[Key, Figure]
    varied: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """Its name in the file."""
        return self.name.partition("/")[2]

    @property
    def holds(self) -> bool:
        """Whether the file has any figure of the table."""
        return any(key.table == self.table for key in self.figures)

    def covers(self, models: Iterable[str]) -> bool:
        """Whether the paper has a figure of any of these backbones, or of the one named."""
        known = {key.model for key in self.figures if key.table == self.table}
        return bool(known & ({self.backbone} if self.backbone else set(models)))

    def figure(self, place: Place, metric: str) -> Figure | None:
        """The paper's figure of a place, or None.

        A figure is of the place if all its settings are the place's, and it has all those that the
        sweep varies.
        """
        varied = dict(zip(self.varied, place.settings, strict=True))
        known = _settings({**self.fixed, **varied})
        model = self.backbone or place.model
        for settings in self._settings:
            if _settings(varied) <= settings <= known:
                key = Key(self.table, place.task, model, place.method, settings, metric)
                if key in self.figures:
                    return self.figures[key]
        return None

    @cached_property
    def _settings(self) -> list[frozenset[tuple[str, str]]]:
        """All settings of the table's figures, the most telling first."""
        found = {key.settings for key in self.figures if key.table == self.table}
        return sorted(found, key=lambda settings: (-len(settings), sorted(settings)))


def reference(sweep: Sweep) -> Reference | None:
    """The table that a sweep names, `<paper>/<table>` or `<paper>/<table>@<backbone>`, if it does.

    Raises PaperError where there is no such paper, or its file is not sound.
    """
    if sweep.paper is None:
        return None
    name, _, backbone = sweep.paper.partition("@")
    paper, _, table = name.partition("/")
    known = sorted(file.stem for file in PAPER.glob("*.csv"))
    if not table or paper not in known:
        raise PaperError(
            f"sweeps/{sweep.name}.yaml: paper={sweep.paper!r} is not <paper>/<table> or "
            f"<paper>/<table>@<backbone> with a file {paper}.csv in {_shown(PAPER)}; "
            f"{did_you_mean(paper, known)}"
        )
    file = PAPER / f"{paper}.csv"
    fixed = {key: canonical(values[0]) for key, values in sweep.axes.items() if not values[1:]}
    fixed = {key: value for key, value in fixed.items() if key not in CELL}
    return Reference(name, backbone or None, file, read(file), sweep.settings, fixed)


def read(file: Path) -> dict[Key, Figure]:
    """All figures of a paper. Raises PaperError naming file, line, column and value."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream)
            if tuple(rows.fieldnames or ()) != (*COLUMNS, *SOURCE):
                raise PaperError(f"{_shown(file)}, line 1: not {','.join((*COLUMNS, *SOURCE))}")
            found: dict[Key, Figure] = {}
            for row in rows:
                key, figure = _figure(row, f"{_shown(file)}, line {rows.line_num}")
                if key in found:
                    raise PaperError(
                        f"{_shown(file)}, line {rows.line_num}: a second value for "
                        f"{key.table}, {key.task}, {key.model}, {key.method}, {key.metric}; "
                        "tell them apart in the column settings, or delete one"
                    )
                found[key] = figure
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PaperError(f"{_shown(file)} cannot be read: {error}") from error
    return found


def missing(name: str, lacking: Iterable[tuple[str, str, str, str]], file: Path) -> str:
    """What to say of entries without a paper value: each a task, a model, a method, a metric."""
    lines = [
        f"  task={task} model={model} method={method} metric={metric}"
        for task, model, method, metric in lacking
    ]
    return "\n".join(
        [
            f"{name} has no value for",
            *lines,
            f"so a dash stands there. Add a line each to {_shown(file)}, with table="
            f"{name.partition('/')[2]} and its source; its value is {NONE} where the paper has "
            "none.",
        ]
    )


def _figure(row: Mapping[str | None, str | None], where: str) -> tuple[Key, Figure]:
    for name in (*COLUMNS, *SOURCE):
        if not row.get(name) and name != "settings":
            raise PaperError(f"{where}: column {name} is empty; fill it")
    if None in row:
        raise PaperError(f"{where}: more values than columns; put those with commas in quotes")
    text = {name: str(row[name] or "") for name in (*COLUMNS, *SOURCE)}
    for name, allowed in (("unit", tuple(UNITS)), ("evidence", EVIDENCE)):
        if text[name] not in allowed:
            raise PaperError(f"{where}: {name}={text[name]!r} is none of {', '.join(allowed)}")
    pairs = [setting.partition("=") for setting in text["settings"].split()]
    if bad := [key + equals + value for key, equals, value in pairs if not (key and value)]:
        raise PaperError(f"{where}: settings={bad[0]!r} is not key=value")
    settings = _settings({key: canonical(value) for key, _, value in pairs})
    table, task, model, method = (text[name] for name in ("table", "task", "model", "method"))
    points = _points(text["value"], text["unit"], where)
    figure = Figure(text["value"], points, text["evidence"] == "recalled", text["source"])
    return Key(table, task, model, method, settings, text["metric"]), figure


def _points(value: str, unit: str, where: str) -> float | None:
    """None for a word, such as OOM, and for NONE; a number that has a typing error is refused."""
    try:
        number = float(value)
    except ValueError:
        if value == NONE or value.isalpha():
            return None
        raise PaperError(
            f"{where}: value={value!r} is no number, no word (such as OOM), and not {NONE}"
        ) from None
    if not isfinite(number):
        raise PaperError(f"{where}: value={value!r} is not finite")
    return UNITS[unit] * number


def _settings(settings: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((key, value) for key, value in settings.items() if value != "null")


def _shown(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
