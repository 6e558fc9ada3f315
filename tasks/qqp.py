"""QQP: do two questions ask the same?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.metrics import Accuracy, PositiveF1
from ptbench.task import Task


@dataclass(frozen=True)
class QQP(Task):
    """GLUE's form; test labels are hidden, so validation is reported."""

    source: ClassVar[Source] = Hub(
        "qqp",
        hub="nyu-mll/glue",
        config="qqp",
        sizes={"train": 363846, "validation": 40430, "test": 390965},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("not_duplicate", "duplicate"),
        text="{question1}[SEP]{question2}",
        pattern="{question1}[SEP]{question2} [P] the same ? [P] [MASK] .",
        words=("no", "yes"),
        metrics=(PositiveF1, Accuracy),
        main_metric="f1",
    )
    reported: ClassVar[str] = "validation"
