"""A task: a data set as a declaration of where its rows are, what they ask, what is reported."""

import logging
import random
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ptbench.data import Data, Row, Source
from ptbench.errors import ConfigError, DataError
from ptbench.kinds import Classification, Generation, Kind
from ptbench.protocol import HELD_OUT, Protocol

LOGGER = logging.getLogger(__name__)
SUBSET_SEED = 0  # which rows are taken is part of the data, not of a run's seed


@dataclass(frozen=True)
class Splits:
    """Checked rows for training, for selection of the checkpoint, and for the report."""

    train: list[Row]
    select: list[Row]
    report: list[Row]
    select_name: str
    report_name: str


@dataclass(frozen=True)
class Task:
    """A data set; `max_length` counts pieces with special tokens, the prompt not counted.

    `reported` names the split that papers report; `selected` an official split to select on,
    where there is one beside it.
    """

    max_length: int

    source: ClassVar[Source]
    kind: ClassVar[Kind]
    reported: ClassVar[str] = "test"
    selected: ClassVar[str | None] = None

    @property
    def asks(self) -> Kind:
        """The kind as this task's fields make it; most tasks have one that is fixed."""
        return self.kind

    @property
    def origin(self) -> Source:
        """The source as this task's fields make it; most tasks have one that is fixed."""
        return self.source

    @property
    def members(self) -> Mapping[str, "Task"]:
        """The tasks that it is made of, by name; most are one data set themselves."""
        return {}

    def identity(self, data: Data) -> str:
        """What fixes the rows: a checksum, or a name and revision."""
        return self.origin.identity(_root(data))

    def commit(self, data: Data) -> str | None:
        """The hub's commit that the rows came from, where they did."""
        return self.origin.commit(_root(data))

    def splits(self, data: Data, protocol: Protocol) -> Splits:
        """The rows of each part, as the protocol divides them.

        Raises DataError that names the split, the row and the remedy.
        """
        root = _root(data)
        names = protocol.select(self.reported, self.selected), protocol.report(self.reported)
        if data.train_split in names:
            raise DataError(
                f"data.train_split={data.train_split} is looked at too (chosen on {names[0]}, "
                f"reported {names[1]}); set protocol=search, which holds rows of it out"
            )
        train, kind = self._rows(data.train_split, root), self.asks
        random.Random(SUBSET_SEED).shuffle(train)
        share = protocol.held_out_share if HELD_OUT in names else 0.0
        rows = kind.for_training(train)
        train, held = _divided(rows, data.train_rows, share, kind)
        if data.train_rows is not None and len(train) < data.train_rows:
            LOGGER.warning(
                "%s: data.train_rows=%d, but train has %d rows and %d of them are held out: "
                "training on %d",
                *(type(self).__name__, data.train_rows, len(rows), len(held), len(train)),
            )
        parts = {HELD_OUT: held}
        for name in names:
            if name not in parts:
                parts[name] = self._rows(name, root)
        asked = (kind.for_evaluation(parts[name]) for name in names)
        select, report = (_some(rows, data.eval_rows, kind) for rows in asked)
        return Splits(train, select, report, *names)

    def _rows(self, split: str, root: Path | None) -> list[Row]:
        rows: list[Row] = []
        kind, name = self.asks, f"{type(self).__name__}, split '{split}'"
        for number, (place, row) in enumerate(self.origin.placed(split, root), 1):
            try:
                kind.check(row)
                kind.reference(row)
            except DataError as error:
                where = f"{place}: {name}" if place else name
                raise DataError(
                    f"{where}, row {number}: {error}; mend or drop the row "
                    "(`ptbench data check <task>` names all such rows)"
                ) from error
            rows.append(row)
        if not rows:
            raise DataError(f"{name} has no rows")
        self.check_order(split, root, rows[0])
        return rows

    def check_order(self, split: str, root: Path | None, row: Row) -> None:
        """Raises DataError where the source numbers its labels otherwise than the task does."""
        kind = self.asks
        value = row.get(kind.target)
        first = value[0] if isinstance(value, list) and value else value
        if not isinstance(first, int):
            return  # a name says itself which label it is
        theirs = self.origin.label_names(split, root).get(kind.target, ())
        ours = kind.labels
        for number, name in enumerate(theirs):
            if name in ours and ours.index(name) != number:
                raise DataError(
                    f"{type(self).__name__}, split '{split}': column '{kind.target}' numbers "
                    f"its labels {_numbered(theirs)}, but the task has {_numbered(ours)}; give the "
                    "labels by name, or number them in the task's order"
                )


def _numbered(names: Sequence[str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in enumerate(names))


@dataclass(frozen=True)
class Writing(Task):
    """A task whose answer is a text: at most `new_tokens` tokens, searched for with `beams`."""

    new_tokens: int
    beams: int

    kind: ClassVar[Generation]

    @property
    def asks(self) -> Kind:
        return replace(self.kind, new_tokens=self.new_tokens, beams=self.beams)


@dataclass(frozen=True)
class Templated(Task):
    """A task whose text has several forms: `template` is one of `texts`, as the authors count."""

    template: int

    kind: ClassVar[Classification]
    texts: ClassVar[Sequence[str]]

    def __post_init__(self) -> None:
        if not 0 <= self.template < len(self.texts):
            known = ", ".join(map(str, range(len(self.texts))))
            raise ConfigError(f"task.template={self.template}: known: {known}")

    @property
    def asks(self) -> Kind:
        return replace(self.kind, text=self.texts[self.template])


def _root(data: Data) -> Path | None:
    return None if data.root is None else Path(data.root).expanduser()


def _divided(
    rows: list[Row], wanted: int | None, share: float, kind: Kind
) -> tuple[list[Row], list[Row]]:
    """`wanted` rows to train on (null: all) and a share of as many held out beside them.

    The kind's units stay whole, so that a few rows more may be held out.
    """
    if wanted is not None and wanted < 1:
        raise DataError(f"data.train_rows={wanted}: must be 1 or more, or null for all")
    used = rows if wanted is None else rows[: round(wanted * (1 + share))]
    held = round(len(used) * share / (1 + share))
    units = _units(used, kind)
    train, left = [row for unit in units for row in unit], len(used)
    for unit in reversed(units):
        if len(used) - left >= held:
            break
        left -= len(unit)
    if share and not (held and left):
        raise DataError(f"train has {len(used)} rows: too few to hold a share of {share} out")
    return train[:left], train[left:]


def _some(rows: list[Row], wanted: int | None, kind: Kind) -> list[Row]:
    """`wanted` rows (null: all), drawn as train's are; the last unit stays whole."""
    if wanted is None:
        return rows
    if wanted < 1:
        raise DataError(f"data.eval_rows={wanted}: must be 1 or more, or null for all")
    units, some = _units(rows, kind), []
    random.Random(SUBSET_SEED).shuffle(units)
    for unit in units:
        if len(some) >= wanted:
            break
        some += unit
    return some


def _units(rows: list[Row], kind: Kind) -> list[list[Row]]:
    """The rows, those together that the kind scores or holds out together."""
    units: dict[Hashable, list[Row]] = defaultdict(list)
    for place, row in enumerate(rows):
        unit = kind.unit(row)
        units[place if unit is None else unit].append(row)
    return list(units.values())
