"""LAMA T-REx: the object of a fact, from its subject and the relation's prompt."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from ptbench.checksums import sha256
from ptbench.data import Data, Hub, Source
from ptbench.errors import ConfigError, did_you_mean
from ptbench.files import lines
from ptbench.kinds import Fact, Kind
from ptbench.task import Task

MANUALS = {  # the 41 relations of one template each, Petroni et al. 2019
    "P17": "[X] is located in [Y] .",
    "P19": "[X] was born in [Y] .",
    "P20": "[X] died in [Y] .",
    "P27": "[X] is [Y] citizen .",
    "P30": "[X] is located in [Y] .",
    "P31": "[X] is a [Y] .",
    "P36": "The capital of [X] is [Y] .",
    "P37": "The official language of [X] is [Y] .",
    "P39": "[X] has the position of [Y] .",
    "P47": "[X] shares border with [Y] .",
    "P101": "[X] works in the field of [Y] .",
    "P103": "The native language of [X] is [Y] .",
    "P106": "[X] is a [Y] by profession .",
    "P108": "[X] works for [Y] .",
    "P127": "[X] is owned by [Y] .",
    "P131": "[X] is located in [Y] .",
    "P136": "[X] plays [Y] music .",
    "P138": "[X] is named after [Y] .",
    "P140": "[X] is affiliated with the [Y] religion .",
    "P159": "The headquarter of [X] is in [Y] .",
    "P176": "[X] is produced by [Y] .",
    "P178": "[X] is developed by [Y] .",
    "P190": "[X] and [Y] are twin cities .",
    "P264": "[X] is represented by music label [Y] .",
    "P276": "[X] is located in [Y] .",
    "P279": "[X] is a subclass of [Y] .",
    "P361": "[X] is part of [Y] .",
    "P364": "The original language of [X] is [Y] .",
    "P407": "[X] was written in [Y] .",
    "P413": "[X] plays in [Y] position .",
    "P449": "[X] was originally aired on [Y] .",
    "P463": "[X] is a member of [Y] .",
    "P495": "[X] was created in [Y] .",
    "P527": "[X] consists of [Y] .",
    "P530": "[X] maintains diplomatic relations with [Y] .",
    "P740": "[X] was founded in [Y] .",
    "P937": "[X] used to work in [Y] .",
    "P1001": "[X] is a legal term in [Y] .",
    "P1303": "[X] plays [Y] .",
    "P1376": "[X] is the capital of [Y] .",
    "P1412": "[X] used to communicate in [Y] .",
}


@dataclass(frozen=True)
class LAMA(Task):
    """Petroni et al. 2019, one relation, in the split of Shin et al. 2020 that P-tuning v1 uses.

    `manual` is what methods without a pattern of pseudo tokens read; null: the relation's template
    in LAMA, of `MANUALS`.
    `vocabulary` is a file of the words that may be answered, one a line, such as the authors' list
    that their backbones share (29k, or 34k); null: any token. Facts beyond it are left out.
    """

    relation: str
    manual: str | None = None
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
        manual = MANUALS.get(self.relation) if self.manual is None else self.manual
        if manual is None:
            known = did_you_mean(self.relation, MANUALS)
            raise ConfigError(f"task.relation={self.relation}: {known}; or say task.manual")
        if not {"[X]", "[Y]"} <= set(manual.split()):
            raise ConfigError(f"task.manual={manual!r}: [X] and [Y] must stand in it as words")
        words = () if self.vocabulary is None else lines(Path(self.vocabulary), "task.vocabulary")
        text = manual.replace("[X]", "{sub_label}").replace("[Y]", "[MASK]")
        return replace(self.kind, text=text, vocabulary=words)

    def identity(self, data: Data) -> str:
        rows = super().identity(data)
        if self.vocabulary is None:
            return rows
        return f"{rows}, answers sha256:{sha256([Path(self.vocabulary)], named=False)[:16]}"
