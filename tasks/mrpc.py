"""MRPC: do two sentences say the same?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.metrics import Accuracy, PositiveF1
from ptbench.task import Task


@dataclass(frozen=True)
class MRPC(Task):
    """Dolan & Brockett 2005, GLUE's form; validation is reported, as GLUE's papers do."""

    source: ClassVar[Source] = Hub(
        "mrpc",
        hub="nyu-mll/glue",
        config="mrpc",
        sizes={"train": 3668, "validation": 408, "test": 1725},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("not_equivalent", "equivalent"),
        text="{sentence1}[SEP]{sentence2}",
        pattern="{sentence1} [P] Question: {sentence2} ? [P] Answer: [MASK] .",
        words=("no", "yes"),
        metrics=(PositiveF1, Accuracy),
        main_metric="f1",
    )
    reported: ClassVar[str] = "validation"
