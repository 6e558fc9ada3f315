"""UNER: persons, organisations and places in English web text."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Labelling, bio
from ptbench.task import Task


@dataclass(frozen=True)
class UNER(Task):
    """Universal NER, English EWT (Mayhew et al. 2024)."""

    source: ClassVar[Source] = Hub(
        "uner_ewt",
        hub="universalner/universal_ner",
        config="en_ewt",
        revision="refs/convert/parquet",
        sizes={"validation": 2001, "test": 2077},
    )
    kind: ClassVar[Kind] = Labelling(
        labels=bio("PER", "ORG", "LOC"),
        pattern="[P] {tokens} [P] named entities : [P]",
    )
    selected: ClassVar[str | None] = "validation"
