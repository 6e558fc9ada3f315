"""CoNLL-2004: places, people, organisations and others in news."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Kind, Labelling
from ptbench.task import Task


def spans_to_bio(row: Row) -> Row:
    """Entities as spans become one label a word."""
    labels = ["O"] * len(row["tokens"])
    for entity in row["entities"]:
        inside = range(entity["start"], entity["end"])
        for place in inside:
            labels[place] = f"{'B' if place == inside.start else 'I'}-{entity['type']}"
    return {"tokens": row["tokens"], "ner_tags": labels}


@dataclass(frozen=True)
class CoNLL04(Task):
    """Roth & Yih 2004; the hub's spans become BIO labels in the order of P-tuning v2's code."""

    source: ClassVar[Source] = Hub(
        "conll04",
        hub="DFKI-SLT/conll04",
        convert=spans_to_bio,
        sizes={"train": 922, "validation": 231, "test": 288},
    )
    kind: ClassVar[Kind] = Labelling(
        labels=("O", "B-Loc", "B-Peop", "B-Org", "B-Other", "I-Loc", "I-Peop", "I-Org", "I-Other"),
        pattern="[P] {tokens} [P] named entities : [P]",
    )
    selected: ClassVar[str | None] = "validation"
