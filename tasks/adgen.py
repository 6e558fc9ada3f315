"""ADGEN: a Chinese advertisement written from what a garment is like."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Generation
from ptbench.metrics import CharacterBLEU, CharacterROUGE
from ptbench.task import Writing


@dataclass(frozen=True)
class ADGEN(Writing):
    """Shao et al. 2019 in the form of ChatGLM's guide, which reports on its dev file.

    The guide samples and cuts references to 64 tokens; here a search writes, and they are whole.
    """

    source: ClassVar[Source] = Hub(
        "adgen", hub="HasturOfficial/adgen", sizes={"train": 114599, "validation": 1070}
    )
    kind: ClassVar[Generation] = Generation(
        text="{content}",
        pattern="[P] {content} [P]",
        target="summary",
        metrics=(CharacterBLEU, CharacterROUGE),
        main_metric="bleu_characters",
    )
    reported: ClassVar[str] = "validation"
