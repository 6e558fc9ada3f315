"""LAMA T-REx: the object of a fact, from its subject and the relation's prompt."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ptbench.checksums import sha256
from ptbench.data import Data, Hub, Source
from ptbench.errors import ConfigError
from ptbench.files import lines
from ptbench.kinds import Fact, Kind
from ptbench.task import Task


@dataclass(frozen=True)
class LAMA(Task):
    """Petroni et al. 2019, one relation, in the split of Shin et al. 2020 that P-tuning v1 uses.

    `manual` is the relation's own template, which methods without a pattern of pseudo tokens read.
    `vocabulary` is a file of the words that may be answered, one a line, such as the authors' list
    that their backbones share (29k, or 34k); null: any token. Facts beyond it are left out.
    """

    relation: str
    manual: str
    vocabulary: str | None = None

    source: ClassVar[Source] = Hub("lama_trex")
    kind: ClassVar[Fact] = Fact(
        text="{sub_label} [MASK] .",
        pattern="[P] [MASK] [P] {sub_label} [P]",
        decoder_pattern="[P] {sub_label} [P]",
        target="obj_label",
    )
    selected: ClassVar[str | None] = "validation"

    @property
    def origin(self) -> Source:
        return Hub(f"lama_trex/{self.relation}", splits={"validation": "dev"})

    @property
    def asks(self) -> Kind:
        if not {"[X]", "[Y]"} <= set(self.manual.split()):
            raise ConfigError(f"task.manual={self.manual!r}: [X] and [Y] must stand in it as words")
        words = () if self.vocabulary is None else lines(Path(self.vocabulary), "task.vocabulary")
        text = self.manual.replace("[X]", "{sub_label}").replace("[Y]", "[MASK]")
        return replace(self.kind, text=text, vocabulary=words)

    def identity(self, data: Data) -> str:
        rows = super().identity(data)
        if self.vocabulary is None:
            return rows
        return f"{rows}, answers sha256:{sha256([Path(self.vocabulary)], named=False)[:16]}"
