"""MultiRC: is the answer to the question, by the paragraph, right?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Grouped, Kind
from ptbench.task import Task


def numbered(row: Row) -> Row:
    """The numbers of paragraph and question become a name for the question."""
    return {**row, "group": f"{row['idx']['paragraph']}-{row['idx']['question']}"}


@dataclass(frozen=True)
class MultiRC(Task):
    """SuperGLUE's form, a row for each answer; test labels are hidden.

    Text: P-tuning v2's; pattern: P-tuning v1's few-shot code.
    """

    source: ClassVar[Source] = Hub(
        "multirc",
        hub="aps/super_glue",
        config="multirc",
        convert=numbered,
        sizes={"train": 27243, "validation": 4848, "test": 9693},
    )
    kind: ClassVar[Kind] = Grouped(
        labels=("False", "True"),
        text="{paragraph}[SEP]{question} {answer}",
        pattern="{paragraph} . Question: {question} ? Is it {answer} ? [P] [MASK] .",
        words=("no", "yes"),
    )
    reported: ClassVar[str] = "validation"
