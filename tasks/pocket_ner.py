"""People, places and organisations that context tells apart, made by this project."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ptbench.data import Made, Source
from ptbench.kinds import Kind, Labelling
from ptbench.task import Task
from tasks.pocket import entities


@dataclass(frozen=True)
class PocketNER(Task):
    """Sentences from tasks/pocket; words and patterns of each split are its own."""

    train: int
    validation: int
    test: int
    seed: int

    kind: ClassVar[Kind] = Labelling(
        labels=entities.LABELS,
        pattern="[P] {tokens} [P] named entities : [P]",
    )
    selected: ClassVar[str | None] = "validation"

    @property
    def origin(self) -> Source:
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        files = sorted(Path(entities.__file__).parent.iterdir())
        return Made(entities.sentences, sizes, self.seed, tuple(f for f in files if f.is_file()))
