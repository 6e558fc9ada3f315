"""CoNLL-2003: persons, organisations, places and others in news."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Labelling, bio
from ptbench.task import Task


@dataclass(frozen=True)
class CoNLL03(Task):
    """Tjong Kim Sang & De Meulder 2003, English."""

    source: ClassVar[Source] = Hub(
        "conll03", hub="lhoestq/conll2003", sizes={"train": 14041, "validation": 3250, "test": 3453}
    )
    kind: ClassVar[Kind] = Labelling(
        labels=bio("PER", "ORG", "LOC", "MISC"),
        pattern="[P] {tokens} [P] named entities : [P]",
    )
    selected: ClassVar[str | None] = "validation"
