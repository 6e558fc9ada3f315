"""What a look at data sets found, as a table and one line a finding."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ptbench.data import Row
from ptbench.doctor import Check, Status

SHOWN = 4  # labels of a distribution that are shown
COLOURS = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


@dataclass
class Part:
    """One split: what was read of it, and what was found in it."""

    task: str
    split: str
    labelled: bool
    official: int | None
    read: int = 0
    rows: list[Row] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    unfit: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    texts: dict[int, set[str]] = field(default_factory=dict)  # by a hash, with their answers

    @property
    def name(self) -> str:
        return f"{self.task} {self.split}"


@dataclass(frozen=True)
class Report:
    """All splits that were there, all findings, and the tasks of which nothing was there."""

    parts: list[Part]
    findings: list[Check]
    absent: list[str]


def show(report: Report, root: Path | None, console: Console) -> int:
    """Prints the splits, then one line for each finding; the exit status, 1 if any is a fault."""
    if report.parts:
        console.print(_table(report.parts))
    for finding in report.findings:
        line = Text(f"{finding.status} ", style=COLOURS[finding.status])
        line.append(f"{finding.name}: ", style="bold").append(finding.detail, style="default")
        line.append(f" -> {finding.remedy}", style="dim")
        console.print(line, soft_wrap=True)
    if report.absent:
        said = f"not in {root}: {', '.join(report.absent)}"
        console.print(Text(said, style="dim"), soft_wrap=True)
    wrong = sum(finding.status is Status.FAIL for finding in report.findings)
    console.print(f"{len(report.parts)} splits, {wrong} faults", highlight=False)
    return int(bool(wrong))


def _table(parts: Sequence[Part]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("task", "split"):
        table.add_column(name, no_wrap=True)
    for name in ("rows", "official", "longest"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("labels", overflow="fold")
    for part in parts:
        official = "-" if part.official is None else f"{part.official:,}"
        longest = str(max(part.lengths, default=0))
        shares = _shares(part.classes) if part.labelled else "not used"
        table.add_row(part.task, part.split, f"{part.read:,}", official, longest, shares)
    return table


def _shares(classes: Counter[str]) -> str:
    total = classes.total()
    shown = [f"{name} {count / total:.0%}" for name, count in classes.most_common(SHOWN)]
    return ", ".join(shown) + (f", ... ({len(classes)})" if len(classes) > SHOWN else "")
