"""COPA: which of two sentences is the cause or the effect of the premise?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Choice, Kind, MaskedChoice
from ptbench.task import Task

CONNECTIVES = {"cause": "because", "effect": "so"}
MASKS = "{choice1} or {choice2} ? {premise} {connective} [P] [MASK] ."


def connected(row: Row) -> Row:
    """What is asked for becomes the word that leads from the premise to a choice."""
    return {**row, "connective": CONNECTIVES[row["question"]]}


@dataclass(frozen=True)
class COPA(Task):
    """SuperGLUE's form; test labels are hidden. Text: as P-tuning v2's code joins it.

    With `masks` P-tuning v1 answers as its few-shot code does, by a choice's pieces at as many
    masks; other methods answer alike.
    """

    masks: bool = False

    source: ClassVar[Source] = Hub(
        "copa",
        hub="aps/super_glue",
        config="copa",
        convert=connected,
        sizes={"train": 400, "validation": 100, "test": 500},
    )
    kind: ClassVar[Choice] = Choice(
        labels=("choice1", "choice2"),
        choices=("choice1", "choice2"),
        text="{premise} {connective}[SEP]{choice}",
        pattern="{premise} [P] {connective} [P] {choice}",
    )
    reported: ClassVar[str] = "validation"

    @property
    def asks(self) -> Kind:
        return MaskedChoice.of(self.kind, pattern=MASKS) if self.masks else self.kind
