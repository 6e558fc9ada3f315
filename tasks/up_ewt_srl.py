"""Universal PropBank, English EWT: who did what to whom, in web text."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Roles, bio
from ptbench.task import Task

ROLES = """
ARG0 ARG1 ARG1-DSP ARG2 ARG3 ARG4 ARG5 ARGA ARGM-ADJ ARGM-ADV ARGM-CAU ARGM-COM ARGM-CXN
ARGM-DIR ARGM-DIS ARGM-EXT ARGM-GOL ARGM-LOC ARGM-LVB ARGM-MNR ARGM-MOD ARGM-NEG ARGM-PRD
ARGM-PRP ARGM-PRR ARGM-REC ARGM-TMP C-ARG0 C-ARG1 C-ARG1-DSP C-ARG2 C-ARG3 C-ARGM-CXN C-ARGM-EXT
C-ARGM-LOC C-ARGM-MNR C-V R-ARG0 R-ARG1 R-ARG2 R-ARG3 R-ARGM-ADJ R-ARGM-ADV R-ARGM-CAU
R-ARGM-COM R-ARGM-DIR R-ARGM-LOC R-ARGM-MNR R-ARGM-TMP V
"""


@dataclass(frozen=True)
class UPEnglishEWT(Task):
    """Akbik et al. 2015; spans are derived from heads, so scores are not CoNLL's."""

    source: ClassVar[Source] = Hub("up_ewt_srl", sizes={"validation": 4977, "test": 4799})
    kind: ClassVar[Kind] = Roles(
        labels=bio(*ROLES.split()),
    )
    selected: ClassVar[str | None] = "validation"
