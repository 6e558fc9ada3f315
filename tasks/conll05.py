"""CoNLL-2005: who did what to whom, in the Wall Street Journal."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Roles, bio
from ptbench.task import Task

ROLES = """
A0 A1 A2 A3 A4 A5 AA AM AM-ADV AM-CAU AM-DIR AM-DIS AM-EXT AM-LOC AM-MNR AM-MOD AM-NEG AM-PNC
AM-PRD AM-REC AM-TM AM-TMP C-A0 C-A1 C-A2 C-A3 C-A4 C-A5 C-AM-ADV C-AM-CAU C-AM-DIR C-AM-DIS
C-AM-EXT C-AM-LOC C-AM-MNR C-AM-PNC C-AM-TMP C-V R-A0 R-A1 R-A2 R-A3 R-A4 R-AM-ADV R-AM-DIR
R-AM-EXT R-AM-LOC R-AM-MNR R-AM-PNC R-AM-TMP V
"""
ONE_WORD = "C-AM-NEG R-AA R-AM-CAU"  # no such argument has a second word


@dataclass(frozen=True)
class CoNLL05(Task):
    """Carreras & Màrquez 2005, one row a predicate; the 106 labels of P-tuning v2's code.

    `test` is the file that is reported: test_wsj, or test_brown of other genres than train's.
    """

    test: str

    kind: ClassVar[Kind] = Roles(
        labels=(*bio(*ROLES.split()), *(f"B-{role}" for role in ONE_WORD.split())),
    )
    selected: ClassVar[str | None] = "validation"

    @property
    def origin(self) -> Source:
        return Hub("conll05", splits={"test": self.test})
