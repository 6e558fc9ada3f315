"""FewGLUE: a task of SuperGLUE from 32 examples."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.build import chosen
from ptbench.data import Hub, Source
from ptbench.errors import ConfigError, did_you_mean
from ptbench.gathered import Gathered
from ptbench.kinds import Kind
from ptbench.task import Task

NAMES = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")
ROWS = {name: (32, 32) for name in NAMES} | {"multirc": (154, 167)}  # answers, to 32 questions


@dataclass(frozen=True)
class FewGLUE(Task):
    """Schick & Schütze 2021, with the 32 rows to select on of P-tuning v1's FewGLUE_32dev.

    `name` is the task of SuperGLUE, whose kind this has and whose validation split is reported.
    All rows of WSC's train have one label, so no head with two classes learns from it. With `masks`
    P-tuning v1 answers COPA and WSC as its few-shot code does, by several.
    """

    name: str
    masks: bool = False

    selected: ClassVar[str | None] = "dev32"
    reported: ClassVar[str] = "validation"

    def __post_init__(self) -> None:
        if self.name not in ROWS:
            raise ConfigError(f"task.name={self.name}: {did_you_mean(self.name, ROWS)}")

    @property
    def asks(self) -> Kind:
        return self._whole.asks

    @property
    def origin(self) -> Source:
        whole = self._whole.origin
        assert isinstance(whole, Hub)
        train, dev = ROWS[self.name]
        few = Hub(
            f"fewglue/{self.name}",
            splits={"train": "train32"},
            convert=whole.convert,
            sizes={"train": train, "dev32": dev},
        )
        return Gathered({"train": few, "dev32": few, "validation": whole})

    @property
    def _whole(self) -> Task:
        return chosen("task", self.name, Task, ["task.masks=true"] if self.masks else [])
