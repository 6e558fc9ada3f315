"""SQuAD 1.1: which part of the paragraph answers the question?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Span
from ptbench.task import Task


@dataclass(frozen=True)
class SQuAD(Task):
    """Every question has an answer; there is no public test split."""

    source: ClassVar[Source] = Hub(
        "squad",
        hub="rajpurkar/squad",
        config="plain_text",
        sizes={"train": 87599, "validation": 10570},
    )
    kind: ClassVar[Kind] = Span()
    reported: ClassVar[str] = "validation"
