"""MNLI: does the premise entail the hypothesis, contradict it, or neither?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class MNLI(Task):
    """Williams et al. 2018, GLUE's form; the matched validation set, of train's genres."""

    source: ClassVar[Source] = Hub(
        "mnli",
        hub="nyu-mll/glue",
        config="mnli",
        splits={"validation": "validation_matched", "test": "test_matched"},
        sizes={"train": 392702, "validation": 9815, "test": 9796},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("entailment", "neutral", "contradiction"),
        text="{premise}[SEP]{hypothesis}",
        pattern="{premise}[SEP]{hypothesis} ? [P] answer: [MASK]",
        words=("yes", "maybe", "no"),
    )
    reported: ClassVar[str] = "validation"
