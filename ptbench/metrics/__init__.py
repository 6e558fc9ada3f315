"""Scores as `evaluate` metrics over scikit-learn, scipy, seqeval, sacrebleu, rouge-score and NLTK.

All lie between 0 and 1, but for those whose docstring says otherwise.
"""

from ptbench.metrics.answers import ReCoRD, SquadV1, SquadV2
from ptbench.metrics.base import Metric, random_floor, score
from ptbench.metrics.captions import CaptionROUGE, CIDEr
from ptbench.metrics.labels import (
    MCC,
    Accuracy,
    MacroF1,
    MultiRC,
    Pearson,
    PositiveF1,
    PrecisionAt1,
    Spearman,
)
from ptbench.metrics.spans import EntityF1, SrlF1
from ptbench.metrics.texts import (
    BLEU,
    NIST,
    ROUGE,
    TER,
    CharacterBLEU,
    CharacterROUGE,
    ChrF,
    StemMETEOR,
    UncasedBLEU,
)

__all__ = [
    "BLEU",
    "MCC",
    "NIST",
    "ROUGE",
    "TER",
    "Accuracy",
    "CIDEr",
    "CaptionROUGE",
    "CharacterBLEU",
    "CharacterROUGE",
    "ChrF",
    "EntityF1",
    "MacroF1",
    "Metric",
    "MultiRC",
    "Pearson",
    "PositiveF1",
    "PrecisionAt1",
    "ReCoRD",
    "Spearman",
    "SquadV1",
    "SquadV2",
    "SrlF1",
    "StemMETEOR",
    "UncasedBLEU",
    "random_floor",
    "score",
]
