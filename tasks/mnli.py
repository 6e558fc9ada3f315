"""MNLI: does the premise entail the hypothesis, contradict it, or neither?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class MNLI(Task):
    """Williams et al. 2018, GLUE's form; `mismatched` reports genres that train does not have."""

    mismatched: bool

    kind: ClassVar[Kind] = Classification(
        labels=("entailment", "neutral", "contradiction"),
        text="{premise}[SEP]{hypothesis}",
        pattern="{premise}[SEP]{hypothesis} ? [P] answer: [MASK]",
        words=("yes", "maybe", "no"),
    )
    reported: ClassVar[str] = "validation"

    @property
    def origin(self) -> Source:
        genres = "mismatched" if self.mismatched else "matched"
        validation, test = (9832, 9847) if self.mismatched else (9815, 9796)
        return Hub(
            "mnli",
            hub="nyu-mll/glue",
            config="mnli",
            splits={"validation": f"validation_{genres}", "test": f"test_{genres}"},
            sizes={"train": 392702, "validation": validation, "test": test},
        )
