"""MNLI, mismatched: the same question on genres that train does not have."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from tasks.mnli import MNLI


@dataclass(frozen=True)
class MNLIMismatched(MNLI):
    """Williams et al. 2018, GLUE's form."""

    source: ClassVar[Source] = Hub(
        "mnli",
        hub="nyu-mll/glue",
        config="mnli",
        splits={"validation": "validation_mismatched", "test": "test_mismatched"},
        sizes={"train": 392702, "validation": 9832, "test": 9847},
    )
