"""AG News: what is a piece of news about?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class AGNews(Task):
    """Zhang et al. 2015, four topics."""

    source: ClassVar[Source] = Hub(
        "ag_news", hub="fancyzhx/ag_news", sizes={"train": 120000, "test": 7600}
    )
    kind: ClassVar[Kind] = Classification(
        labels=("World", "Sports", "Business", "Sci/Tech"),
        text="{text}",
        pattern="{text} [P] This is about [MASK] .",
        words=("world", "sports", "business", "science"),
    )
