"""RTE: does the premise entail the hypothesis?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class RTE(Task):
    """SuperGLUE's form; test labels are hidden. Pattern: P-tuning v1's few-shot code."""

    source: ClassVar[Source] = Hub(
        "rte",
        hub="aps/super_glue",
        config="rte",
        sizes={"train": 2490, "validation": 277, "test": 3000},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("entailment", "not_entailment"),
        text="{premise}[SEP]{hypothesis}",
        pattern="{premise} [P] Question: {hypothesis} ? [P] Answer: [MASK] .",
        words=("yes", "no"),
    )
    reported: ClassVar[str] = "validation"
