"""CoLA: is a sentence acceptable English?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.metrics import MCC, Accuracy
from ptbench.task import Task


@dataclass(frozen=True)
class CoLA(Task):
    """Warstadt et al. 2019, GLUE's form; test labels are hidden, so validation is reported."""

    source: ClassVar[Source] = Hub(
        "cola",
        hub="nyu-mll/glue",
        config="cola",
        sizes={"train": 8551, "validation": 1043, "test": 1063},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("unacceptable", "acceptable"),
        text="{sentence}",
        pattern="{sentence} [P] This is [MASK] .",
        words=("wrong", "right"),
        metrics=(MCC, Accuracy),
        main_metric="mcc",
    )
    reported: ClassVar[str] = "validation"
