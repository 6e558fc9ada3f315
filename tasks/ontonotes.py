"""OntoNotes 5.0: eighteen kinds of names, dates and amounts."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Kind, Labelling, bio
from ptbench.task import Task

ENTITIES = """
PERSON NORP FAC ORG GPE LOC PRODUCT DATE TIME PERCENT MONEY QUANTITY ORDINAL CARDINAL EVENT
WORK_OF_ART LAW LANGUAGE
"""


def sentences(row: Row) -> Row | list[Row]:
    """The hub's documents become sentences; those of a local folder are sentences."""
    if "sentences" not in row:
        return row
    return [{"tokens": s["words"], "ner_tags": s["named_entities"]} for s in row["sentences"]]


@dataclass(frozen=True)
class OntoNotes(Task):
    """Pradhan et al. 2013: CoNLL-2012's files, version 4, or what `ptbench data convert` makes."""

    source: ClassVar[Source] = Hub(
        "ontonotes",
        hub="ontonotes/conll2012_ontonotesv5",
        config="english_v4",
        revision="refs/convert/parquet",
        convert=sentences,
    )
    kind: ClassVar[Kind] = Labelling(
        labels=bio(*ENTITIES.split()),
        pattern="[P] {tokens} [P] named entities : [P]",
    )
    selected: ClassVar[str | None] = "validation"
