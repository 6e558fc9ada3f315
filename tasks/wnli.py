"""WNLI: does the sentence with the pronoun replaced follow?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class WNLI(Task):
    """Levesque et al. 2012 in GLUE's form; its label order is the reverse of RTE's."""

    source: ClassVar[Source] = Hub(
        "wnli",
        hub="nyu-mll/glue",
        config="wnli",
        sizes={"train": 635, "validation": 71, "test": 146},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("not_entailment", "entailment"),
        text="{sentence1}[SEP]{sentence2}",
        pattern="{sentence1} [P] Question: {sentence2} ? [P] Answer: [MASK] .",
        words=("no", "yes"),
    )
    reported: ClassVar[str] = "validation"
