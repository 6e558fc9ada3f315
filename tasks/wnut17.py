"""WNUT-17: new and rare entities in user-written text."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Labelling, bio
from ptbench.task import Task


@dataclass(frozen=True)
class WNUT17(Task):
    """Derczynski et al. 2017."""

    source: ClassVar[Source] = Hub(
        "wnut17",
        hub="leondz/wnut_17",
        config="wnut_17",
        revision="refs/convert/parquet",
        sizes={"train": 3394, "validation": 1009, "test": 1287},
    )
    kind: ClassVar[Kind] = Labelling(
        labels=bio("corporation", "creative-work", "group", "location", "person", "product"),
        pattern="[P] {tokens} [P] named entities : [P]",
    )
    selected: ClassVar[str | None] = "validation"
