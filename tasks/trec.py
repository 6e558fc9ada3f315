"""TREC: what kind of answer does a question ask for?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class TREC(Task):
    """Li & Roth 2002, the six coarse classes."""

    source: ClassVar[Source] = Hub(
        "trec",
        hub="CogComp/trec",
        config="default",
        revision="refs/convert/parquet",
        sizes={"train": 5452, "test": 500},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM"),
        text="{text}",
        pattern="{text} [P] This asks for a [MASK] .",
        target="coarse_label",
        words=("term", "thing", "reason", "person", "place", "number"),
    )
