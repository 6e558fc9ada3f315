"""CB: does the text commit its author to the hypothesis?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.metrics import Accuracy, MacroF1
from ptbench.task import Task


@dataclass(frozen=True)
class CB(Task):
    """SuperGLUE's form and label order; test labels are hidden."""

    source: ClassVar[Source] = Hub(
        "cb", hub="aps/super_glue", config="cb", sizes={"train": 250, "validation": 56, "test": 250}
    )
    kind: ClassVar[Kind] = Classification(
        labels=("entailment", "contradiction", "neutral"),
        text="{premise}[SEP]{hypothesis}",
        pattern="{premise}[SEP]{hypothesis} ? [P] answer: [MASK]",
        words=("yes", "no", "maybe"),
        metrics=(Accuracy, MacroF1),
    )
    reported: ClassVar[str] = "validation"
