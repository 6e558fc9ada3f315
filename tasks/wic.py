"""WiC: has the word the same sense in both sentences?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class WiC(Task):
    """SuperGLUE's form; test labels are hidden. Text: P-tuning v2's template 1, its BERT form."""

    source: ClassVar[Source] = Hub(
        "wic",
        hub="aps/super_glue",
        config="wic",
        sizes={"train": 5428, "validation": 638, "test": 1400},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("False", "True"),
        text="{word}: {sentence1}[SEP]{word}: {sentence2}",
        pattern="{sentence1}[SEP]{sentence2} [P] {word} ? [MASK]",
        words=("no", "yes"),
    )
    reported: ClassVar[str] = "validation"
