"""WiC: has the word the same sense in both sentences?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification
from ptbench.task import Templated

TEXTS = (
    "{sentence1} {sentence2} Does {word} have the same meaning in both sentences?",
    "{word}: {sentence1}[SEP]{word}: {sentence2}",
)


@dataclass(frozen=True)
class WiC(Templated):
    """SuperGLUE's form; test labels are hidden. Texts: P-tuning v2's, 0 RoBERTa's and 1 BERT's."""

    template: int = 1

    source: ClassVar[Source] = Hub(
        "wic",
        hub="aps/super_glue",
        config="wic",
        sizes={"train": 5428, "validation": 638, "test": 1400},
    )
    kind: ClassVar[Classification] = Classification(
        labels=("False", "True"),
        text=TEXTS[1],
        pattern="{sentence1}[SEP]{sentence2} [P] {word} ? [MASK]",
        words=("no", "yes"),
    )
    texts: ClassVar[Sequence[str]] = TEXTS
    reported: ClassVar[str] = "validation"
