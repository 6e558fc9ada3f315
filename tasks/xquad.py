"""XQuAD in English: which part of the paragraph answers the question?"""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Parted, Source
from ptbench.kinds import Kind, Span
from ptbench.task import Task

ENGLISH = Hub("xquad_en", hub="google/xquad", config="xquad.en")


@dataclass(frozen=True)
class XQuAD(Task):
    """1,190 questions of SQuAD 1.1's validation split on 48 articles (Artetxe et al. 2020).

    Every fourth article is the test split, so scores compare with no others.
    """

    source: ClassVar[Source] = Parted(ENGLISH, "validation", column="title", nth=4)
    kind: ClassVar[Kind] = Span()
