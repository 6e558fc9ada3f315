"""DART: sentences that tell the facts of a set of triples, from many sources."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Generation
from ptbench.metrics import BLEU, TER, ChrF, StemMETEOR
from ptbench.task import Writing


def linearised(row: Row) -> Row | list[Row]:
    """Triples as prefix-tuning's `s : p : o | s : p : o`, p in lower case; no row without text."""
    triples = " | ".join(f"{s} : {p.lower()} : {o}" for s, p, o in row["tripleset"])
    texts = [text for text in row["annotations"]["text"] if text.strip()]
    return {"triples": triples, "texts": texts} if texts else []


@dataclass(frozen=True)
class DART(Writing):
    """Nan et al. 2021. METEOR without synonyms; the scores of neural models are left out."""

    source: ClassVar[Source] = Hub(
        "dart",
        hub="Yale-LILY/dart",
        config="default",
        revision="refs/convert/parquet",
        convert=linearised,
        sizes={"train": 30526, "validation": 2768, "test": 6959},
    )
    kind: ClassVar[Generation] = Generation(
        text="{triples}",
        pattern="[P] {triples} [P]",
        target="texts",
        metrics=(BLEU, TER, ChrF, StemMETEOR),
    )
    selected: ClassVar[str | None] = "validation"
