"""COPA: which of two sentences is the cause or the effect of the premise?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Choice, Kind
from ptbench.task import Task

CONNECTIVES = {"cause": "because", "effect": "so"}


def connected(row: Row) -> Row:
    """What is asked for becomes the word that leads from the premise to a choice."""
    return {**row, "connective": CONNECTIVES[row["question"]]}


@dataclass(frozen=True)
class COPA(Task):
    """SuperGLUE's form; test labels are hidden. Text: as P-tuning v2's code joins it."""

    source: ClassVar[Source] = Hub(
        "copa",
        hub="aps/super_glue",
        config="copa",
        convert=connected,
        sizes={"train": 400, "validation": 100, "test": 500},
    )
    kind: ClassVar[Kind] = Choice(
        labels=("choice1", "choice2"),
        choices=("choice1", "choice2"),
        text="{premise} {connective}[SEP]{choice}",
        pattern="{premise} [P] {connective} [P] {choice}",
    )
    reported: ClassVar[str] = "validation"
