"""Whether the committed tables are what the committed records give, and the records are sound."""

from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from ptbench import records, schema, sweeps, tables
from ptbench.errors import PtbenchError
from ptbench.paths import RECORDS, TABLES


@dataclass
class Report:
    """What was looked at, what is wrong, and what a reader should know."""

    records: int = 0
    tables: list[str] = field(default_factory=list)  # that are as their records have them
    left_out: list[str] = field(default_factory=list)  # files that are no sweep's table
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(folder: Path = RECORDS, kept: Path = TABLES) -> Report:
    """Reads every record and renders every table that is kept again; each fault has its remedy."""
    report = Report()
    swept = sorted(path.name for path in folder.glob("*/"))
    for sweep in swept:
        files = sorted((folder / sweep).glob("*/*.json"))
        report.records += len(files)
        faults = [fault for file in files for fault in _faults(file)]
        report.faults += faults
        if not faults:
            said = records.uncommitted(records.load(sweep, folder))
            report.notes += [f"{folder / sweep}: {line}" for line in said]
    for file in sorted(file for file in kept.glob("*") if file.is_file()):
        if file.stem not in swept and file.stem not in sweeps.names():
            report.left_out.append(file.name)
    for sweep in sorted({file.stem for file in kept.glob("*")} & {*swept, *sweeps.names()}):
        _compare(sweep, folder, kept, report)
    return report


def _faults(file: Path) -> list[str]:
    try:
        return schema.faults(file)
    except records.RecordError as error:
        return [str(error)]


def _compare(sweep: str, folder: Path, kept: Path, report: Report) -> None:
    """The kept files of a sweep's table with what its records give."""
    try:
        found = records.load(sweep, folder)
        texts = tables.render(tables.table(found, sweeps.find(sweep)))
    except records.RecordError:
        return  # told with the records
    except PtbenchError as error:
        report.faults.append(f"{kept / sweep}.*: {error}")
        return
    for name, text in texts.items():
        if not (file := kept / name).is_file():
            continue
        if said := _first_difference(file.read_text(encoding="utf-8"), text):
            remedy = f"run `ptbench table {sweep}` and commit what it writes"
            report.faults.append(f"{file}, {said}; no table is edited by hand: {remedy}")
        else:
            report.tables.append(name)


def _first_difference(has: str, should: str) -> str:
    """The first line that differs, with both texts; nothing where they are the same."""
    pairs = zip_longest(has.splitlines(True), should.splitlines(True))
    for number, (ours, theirs) in enumerate(pairs, 1):
        if ours != theirs:
            said = ["nothing" if line is None else repr(line) for line in (ours, theirs)]
            return f"line {number}: has {said[0]}, the records give {said[1]}"
    return ""
