"""SST-2: is a sentence of a film review positive?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Classification, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class SST2(Task):
    """Socher et al. 2013, GLUE's form; test labels are hidden, so validation is reported."""

    source: ClassVar[Source] = Hub(
        "sst2",
        hub="nyu-mll/glue",
        config="sst2",
        sizes={"train": 67349, "validation": 872, "test": 1821},
    )
    kind: ClassVar[Kind] = Classification(
        labels=("negative", "positive"),
        text="{sentence}",
        pattern="{sentence} [P] It was [MASK] .",
        words=("terrible", "great"),
    )
    reported: ClassVar[str] = "validation"
