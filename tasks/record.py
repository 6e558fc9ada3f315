"""ReCoRD: which entity of the news article belongs at the placeholder of the query?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Candidates, Example, Kind
from ptbench.task import Task


class Placeholder(Candidates):
    """The query is read with each entity of the article at its placeholder."""

    def filled(self, example: Example, choice: str) -> Mapping[str, Any]:
        passage = example["passage"].replace("@highlight\n", "- ")
        return {"passage": passage, "query": example["query"].replace("@placeholder", choice)}


@dataclass(frozen=True)
class ReCoRD(Task):
    """SuperGLUE's form; test answers are hidden.

    P-tuning v2's code gives the same rows a two-class head; here a softmax compares the entities.
    """

    source: ClassVar[Source] = Hub(
        "record",
        hub="aps/super_glue",
        config="record",
        sizes={"train": 100730, "validation": 10000, "test": 10000},
    )
    kind: ClassVar[Kind] = Placeholder(
        labels=(),
        choices=("entities",),
        text="{passage}[SEP]{query}",
        pattern="{passage} [P][SEP]{query} [P]",
    )
    reported: ClassVar[str] = "validation"
