"""WSC: does the pronoun mean the noun?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Classification
from ptbench.task import Templated

TEXTS = (
    "{span2_text}: {text}[SEP]{span1_text}",
    "{marked}[SEP]{span1_text}",
)


def marked(row: Row) -> Row:
    """The text with the pronoun between asterisks, beside the text."""
    words = row["text"].split()
    words[row["span2_index"]] = f"*{words[row['span2_index']]}*"
    return {**row, "marked": " ".join(words)}


@dataclass(frozen=True)
class WSC(Templated):
    """SuperGLUE's form with the span indices repaired; test labels are hidden.

    Texts: P-tuning v2's. Both read the spans as words: its code has no head on spans.
    P-tuning v1's few-shot code fills several masks with the noun; the pattern asks yes or no in
    its words.
    """

    template: int = 0

    source: ClassVar[Source] = Hub(
        "wsc",
        hub="aps/super_glue",
        config="wsc.fixed",
        convert=marked,
        sizes={"train": 554, "validation": 104, "test": 146},
    )
    kind: ClassVar[Classification] = Classification(
        labels=("False", "True"),
        text=TEXTS[0],
        pattern="[P] {text} [P] pronoun '{span2_text}' refers to {span1_text} ? [MASK]",
        words=("no", "yes"),
    )
    texts: ClassVar[Sequence[str]] = TEXTS
    reported: ClassVar[str] = "validation"
