"""Opinions with negation and contrast, made by this project: is the writer pleased?"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ptbench.data import Made, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task
from tasks.pocket import sentiment


@dataclass(frozen=True)
class PocketSentiment(Task):
    """Sentences from tasks/pocket; words and patterns of each split are its own."""

    train: int
    validation: int
    test: int
    seed: int

    kind: ClassVar[Kind] = Classification(
        labels=sentiment.LABELS,
        text="{sentence}",
        pattern="{sentence} [P] It was [MASK] .",
        words=("terrible", "great"),
    )
    selected: ClassVar[str | None] = "validation"

    @property
    def origin(self) -> Source:
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        files = sorted(Path(sentiment.__file__).parent.iterdir())
        return Made(sentiment.sentences, sizes, self.seed, tuple(f for f in files if f.is_file()))
