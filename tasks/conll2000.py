"""CoNLL-2000: the chunks of a sentence, noun phrases and others."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Kind, Labelling, bio
from ptbench.task import Task

CHUNKS = "ADJP ADVP CONJP INTJ LST NP PP PRT SBAR UCP VP"


def unless_empty(row: Row) -> Row | list[Row]:
    """The row, or none."""
    return row if row["tokens"] else []


@dataclass(frozen=True)
class CoNLL2000(Task):
    """Tjong Kim Sang & Buchholz 2000; the hub's empty row at each end of a split is dropped."""

    source: ClassVar[Source] = Hub(
        "conll2000",
        hub="eriktks/conll2000",
        config="conll2000",
        revision="refs/convert/parquet",
        convert=unless_empty,
        sizes={"train": 8936, "test": 2012},
    )
    kind: ClassVar[Kind] = Labelling(
        labels=bio(*CHUNKS.split()),
        pattern="[P] {tokens} [P] chunks : [P]",
        target="chunk_tags",
    )
