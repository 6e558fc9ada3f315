"""BoolQ: is the answer to the question, by the passage, yes?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class BoolQ(Task):
    """SuperGLUE's form; test labels are hidden. Pattern: P-tuning v1's few-shot code."""

    source: ClassVar[Source] = Hub(
        "boolq",
        hub="aps/super_glue",
        config="boolq",
        sizes={"train": 9427, "validation": 3270, "test": 3245},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("False", "True"),
        text="{question}[SEP]{passage}",
        pattern="{passage} . [P] Question: {question} ? Answer: [MASK] .",
        words=("no", "yes"),
    )
    reported: ClassVar[str] = "validation"
