"""WSC: does the pronoun mean the noun?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class WSC(Task):
    """SuperGLUE's form with the span indices repaired; test labels are hidden.

    Text: P-tuning v2's template 0, which reads both spans as words; its code has no head on spans.
    P-tuning v1's few-shot code fills several masks with the noun; the pattern asks yes or no in
    its words.
    """

    source: ClassVar[Source] = Hub(
        "wsc",
        hub="aps/super_glue",
        config="wsc.fixed",
        sizes={"train": 554, "validation": 104, "test": 146},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("False", "True"),
        text="{span2_text}: {text}[SEP]{span1_text}",
        pattern="[P] {text} [P] pronoun '{span2_text}' refers to {span1_text} ? [MASK]",
        words=("no", "yes"),
    )
    reported: ClassVar[str] = "validation"
