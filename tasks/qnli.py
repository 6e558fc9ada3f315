"""QNLI: does the sentence answer the question?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class QNLI(Task):
    """GLUE's form; test labels are hidden, so validation is reported."""

    source: ClassVar[Source] = Hub(
        "qnli",
        hub="nyu-mll/glue",
        config="qnli",
        sizes={"train": 104743, "validation": 5463, "test": 5463},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("entailment", "not_entailment"),
        text="{question}[SEP]{sentence}",
        pattern="{sentence} [P] Question: {question} ? [P] Answer: [MASK] .",
        words=("yes", "no"),
    )
    reported: ClassVar[str] = "validation"
