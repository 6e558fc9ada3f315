"""SNIPS intents: what does a request to an assistant ask for?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Row, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


def joined(row: Row) -> Row:
    """The words as one text."""
    return {"text": " ".join(row["tokens"]), "intent": row["intent"]}


@dataclass(frozen=True)
class SnipsIntent(Task):
    """Coucke et al. 2018, in the split of Goo et al. 2018; not on the hub in this form."""

    source: ClassVar[Source] = Hub(
        "snips",
        splits={"validation": "dev"},
        convert=joined,
        sizes={"train": 13084, "validation": 700, "test": 700},
    )
    kind: ClassVar[Kind] = Classification(
        labels=(
            "AddToPlaylist",
            "BookRestaurant",
            "GetWeather",
            "PlayMusic",
            "RateBook",
            "SearchCreativeWork",
            "SearchScreeningEvent",
        ),
        text="{text}",
        pattern="{text} [P] This is about a [MASK] .",
        target="intent",
        words=("list", "restaurant", "weather", "song", "book", "title", "cinema"),
    )
    selected: ClassVar[str | None] = "validation"
