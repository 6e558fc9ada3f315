"""STS-B: how alike are two sentences in meaning?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Regression
from ptbench.task import Task


@dataclass(frozen=True)
class STSB(Task):
    """Cer et al. 2017, GLUE's form, from 0 to 5; test's are hidden, so validation is reported."""

    source: ClassVar[Source] = Hub(
        "stsb",
        hub="nyu-mll/glue",
        config="stsb",
        sizes={"train": 5749, "validation": 1500, "test": 1379},
    )
    kind: ClassVar[Kind] = Regression(
        text="{sentence1}[SEP]{sentence2}",
        pattern="{sentence1} [P][SEP]{sentence2} [P]",
        least=0.0,
        most=5.0,
    )
    reported: ClassVar[str] = "validation"
