"""CoNLL-2012: who did what to whom, in OntoNotes' genres."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Roles, bio
from ptbench.task import Task

ROLES = """
ARG0 ARG1 ARG2 ARG3 ARG4 ARG5 ARGA ARGM-ADJ ARGM-ADV ARGM-CAU ARGM-COM ARGM-DIR ARGM-DIS
ARGM-DSP ARGM-EXT ARGM-GOL ARGM-LOC ARGM-MNR ARGM-MOD ARGM-NEG ARGM-PNC ARGM-PRD ARGM-PRP
ARGM-REC ARGM-TMP C-ARG0 C-ARG1 C-ARG2 C-ARG3 C-ARG4 C-ARGM-ADV C-ARGM-CAU C-ARGM-DSP C-ARGM-EXT
C-ARGM-LOC C-ARGM-MNR C-ARGM-MOD C-ARGM-PRP C-ARGM-TMP R-ARG0 R-ARG1 R-ARG2 R-ARG3 R-ARG4
R-ARGM-ADV R-ARGM-CAU R-ARGM-COM R-ARGM-DIR R-ARGM-EXT R-ARGM-GOL R-ARGM-LOC R-ARGM-MNR
R-ARGM-PRD R-ARGM-PRP R-ARGM-TMP
"""
ONE_WORD = "ARGM-LVB ARGM-PRR ARGM-PRX R-ARG5 V"  # no such argument has a second word


@dataclass(frozen=True)
class CoNLL12(Task):
    """Pradhan et al. 2012, one row a predicate; the 116 labels of P-tuning v2's code."""

    source: ClassVar[Source] = Hub("conll12")
    kind: ClassVar[Kind] = Roles(
        labels=(*bio(*ROLES.split()), *(f"B-{role}" for role in ONE_WORD.split())),
    )
    selected: ClassVar[str | None] = "validation"
