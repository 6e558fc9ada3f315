"""SQuAD 2.0: which part of the paragraph answers the question, if any does?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Span
from ptbench.metrics import SquadV2
from ptbench.task import Task


@dataclass(frozen=True)
class SQuADv2(Task):
    """A third of the questions have no answer; P-tuning v2's code has the threshold 0 too."""

    source: ClassVar[Source] = Hub(
        "squad_v2",
        hub="rajpurkar/squad_v2",
        config="squad_v2",
        sizes={"train": 130319, "validation": 11873},
    )
    kind: ClassVar[Kind] = Span(metrics=(SquadV2,), null_threshold=0.0)
    reported: ClassVar[str] = "validation"
