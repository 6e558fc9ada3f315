"""WSC: does the pronoun mean the noun?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Classification, Kind, MaskedNoun
from ptbench.task import Templated

TEXTS = (
    "{span2_text}: {text}[SEP]{span1_text}",
    "{marked}[SEP]{span1_text}",
)
MASKS = "[P] {marked} [P] pronoun '*{span2_text}*' refers to [MASK] ."


def marked(row: Row) -> Row:
    """The text with the pronoun between asterisks, beside the text."""
    words = row["text"].split()
    words[row["span2_index"]] = f"*{words[row['span2_index']]}*"
    return {**row, "marked": " ".join(words)}


@dataclass(frozen=True)
class WSC(Templated):
    """SuperGLUE's form with the span indices repaired; test labels are hidden.

    Texts: P-tuning v2's. Both read the spans as words: its code has no head on spans.
    With `masks` P-tuning v1 answers as its few-shot code does, by the words that fill several
    masks; without, yes or no at one mask. Other methods read a text of `texts` in either case.
    """

    template: int = 0
    masks: bool = False

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

    @property
    def asks(self) -> Kind:
        kind = replace(self.kind, text=TEXTS[self.template])
        if not self.masks:
            return kind
        return MaskedNoun.of(kind, pattern=MASKS, words=(), noun="span1_text")
